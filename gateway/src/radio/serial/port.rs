//! Finding and opening a port, and saying in plain words why it would not open.

use std::io;
use std::path::{Path, PathBuf};

use tokio_serial::{DataBits, SerialPort, SerialPortInfo, SerialPortType, SerialStream, StopBits};

use crate::config::{FlowControl, Line, Parity, Port, UsbMatch};

/// Why a port would not open: what, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}; {remedy}")]
pub(super) struct OpenError {
    what: String,
    remedy: String,
}

impl OpenError {
    fn new(what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { what: what.into(), remedy: remedy.into() }
    }
}

/// Opens the port with its line settings. Returns it with the path it was found under.
///
/// A driver may take its time, so this runs where the runtime's other tasks don't wait for it. Who stops waiting leaves
/// the opening to itself: the port is closed again as soon as it is open.
pub(super) async fn open(port: &Port, line: &Line, exclusive: bool) -> Result<(SerialStream, PathBuf), OpenError> {
    let (port, line) = (port.clone(), line.clone());
    away(move || find_and_open(&port, &line, exclusive)).await
}

/// The path that the port has now, if it is there.
pub(super) async fn find(port: &Port) -> Result<PathBuf, OpenError> {
    let port = port.clone();
    away(move || path_of(&port)).await
}

/// Does what may take its time where nobody else waits for it.
async fn away<T: Send + 'static>(work: impl FnOnce() -> Result<T, OpenError> + Send + 'static) -> Result<T, OpenError> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|broken| {
        Err(OpenError::new(format!("opening the port broke off: {broken}"), "report it; it is a fault of the gateway"))
    })
}

fn path_of(port: &Port) -> Result<PathBuf, OpenError> {
    let path = match port {
        Port::Device(path) => path.clone(),
        Port::Usb(wanted) => {
            let ports = tokio_serial::available_ports().unwrap_or_default();
            find_usb(&ports, wanted).ok_or_else(|| {
                let (vendor, product) = (wanted.vendor, wanted.product);
                OpenError::new(
                    format!("no USB serial adapter {vendor:04x}:{product:04x} is plugged in"),
                    "plug it in, or compare `usb` with what `udevadm info --property-query /dev/ttyUSB0` prints",
                )
            })?
        }
    };
    check_kind(&path)?;
    Ok(path)
}

/// `exclusive` keeps every other program out. A port that somebody holds open all the time, as a simulated device does,
/// would stay closed to an ordinary user ever after.
fn find_and_open(port: &Port, line: &Line, exclusive: bool) -> Result<(SerialStream, PathBuf), OpenError> {
    let path = path_of(port)?;
    let builder = tokio_serial::new(path.to_string_lossy(), line.baud)
        .exclusive(exclusive)
        .data_bits(match line.data_bits {
            5 => DataBits::Five,
            6 => DataBits::Six,
            7 => DataBits::Seven,
            _ => DataBits::Eight,
        })
        .parity(match line.parity {
            Parity::None => tokio_serial::Parity::None,
            Parity::Odd => tokio_serial::Parity::Odd,
            Parity::Even => tokio_serial::Parity::Even,
        })
        .stop_bits(if line.stop_bits == 2 { StopBits::Two } else { StopBits::One })
        .flow_control(match line.flow_control {
            FlowControl::None => tokio_serial::FlowControl::None,
            FlowControl::Software => tokio_serial::FlowControl::Software,
            FlowControl::Hardware => tokio_serial::FlowControl::Hardware,
        });
    let stream = SerialStream::open(&builder).map_err(|e| explain(&path, line, &e))?;
    check_baud(&path, line, &stream)?;
    Ok((stream, path))
}

/// Of all ports, the USB adapter with these marks; of several the first by name, so that the choice is stable.
fn find_usb(ports: &[SerialPortInfo], wanted: &UsbMatch) -> Option<PathBuf> {
    ports.iter().filter(|port| is_wanted(port, wanted)).map(|port| PathBuf::from(&port.port_name)).min()
}

/// Whether a port is a USB adapter with these marks.
pub(super) fn is_wanted(port: &SerialPortInfo, wanted: &UsbMatch) -> bool {
    match &port.port_type {
        SerialPortType::UsbPort(usb) => {
            usb.vid == wanted.vendor
                && usb.pid == wanted.product
                && (wanted.serial.is_none() || usb.serial_number == wanted.serial)
        }
        _ => false,
    }
}

/// A first look, so that the commonest mistakes get their own words.
fn check_kind(path: &Path) -> Result<(), OpenError> {
    let shown = path.display();
    match std::fs::metadata(path) {
        Ok(meta) if meta.is_dir() => {
            Err(OpenError::new(format!("{shown} is a directory"), "set `device` to a port, such as one in it"))
        }
        Ok(_) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Err(OpenError::new(
            format!("{shown} is not there"),
            "plug the device in, or see `ls -l /dev/serial/by-id/` for what is there",
        )),
        Err(e) => Err(OpenError::new(format!("{shown}: {e}"), "check the path and its permissions")),
    }
}

fn explain(path: &Path, line: &Line, error: &tokio_serial::Error) -> OpenError {
    let shown = path.display();
    let io_kind = match error.kind() {
        tokio_serial::ErrorKind::Io(kind) => Some(kind),
        _ => None,
    };
    let text = error.to_string();
    if io_kind == Some(io::ErrorKind::PermissionDenied) || text.contains("Permission denied") {
        let group = group_of(path).unwrap_or_else(|| "dialout".to_owned());
        return OpenError::new(
            format!("no permission to open {shown}"),
            format!("add the gateway's user to the group `{group}`: sudo usermod -aG {group} stile"),
        );
    }
    if io_kind == Some(io::ErrorKind::InvalidInput) || text.contains("Invalid argument") {
        return OpenError::new(
            format!("the driver of {shown} refuses {} baud or another line setting ({text})", line.baud),
            "set `baud` and the other line settings to what the adapter's data sheet lists",
        );
    }
    if text.contains("Not a typewriter") || text.contains("Inappropriate ioctl") {
        return OpenError::new(format!("{shown} is no serial port"), "set `device` to a tty, such as /dev/ttyUSB0");
    }
    if text.contains("busy") || text.contains("lock") || text.contains("temporarily unavailable") {
        return OpenError::new(
            format!("{shown} is in use by another program"),
            format!("see `fuser -v {shown}`; `stile udev` makes a rule that keeps ModemManager off"),
        );
    }
    OpenError::new(format!("{shown} would not open: {text}"), "check the device with `stty -F` and the kernel's log")
}

/// A driver may round a rate or quietly keep another; more than 3 % off garbles every byte.
fn check_baud(path: &Path, line: &Line, stream: &SerialStream) -> Result<(), OpenError> {
    stream.baud_rate().map_or(Ok(()), |actual| compare_baud(path, line.baud, actual))
}

fn compare_baud(path: &Path, wanted: u32, actual: u32) -> Result<(), OpenError> {
    if actual.abs_diff(wanted) <= wanted / 33 {
        return Ok(());
    }
    Err(OpenError::new(
        format!("the driver of {} set {actual} baud instead of {wanted}", path.display()),
        "set `baud` to a rate that the adapter has",
    ))
}

/// The name of the group that owns a file.
fn group_of(path: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let gid = std::fs::metadata(path).ok()?.gid();
    let groups = std::fs::read_to_string("/etc/group").ok()?;
    let line = groups.lines().find(|line| line.split(':').nth(2) == Some(&gid.to_string()))?;
    line.split(':').next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio_serial::UsbPortInfo;

    use super::*;

    fn usb(name: &str, vid: u16, pid: u16, serial: &str) -> SerialPortInfo {
        let info = UsbPortInfo { vid, pid, serial_number: Some(serial.into()), manufacturer: None, product: None };
        SerialPortInfo { port_name: name.into(), port_type: SerialPortType::UsbPort(info) }
    }

    #[test]
    fn an_adapter_is_found_by_its_marks_under_whatever_number_it_has() {
        let ports = [usb("/dev/ttyACM1", 0x0403, 0x6001, "A"), usb("/dev/ttyACM0", 0x0403, 0x6001, "B")];
        let find = |serial: Option<&str>| {
            find_usb(&ports, &UsbMatch { vendor: 0x0403, product: 0x6001, serial: serial.map(Into::into) })
        };
        assert_eq!(find(Some("A")), Some("/dev/ttyACM1".into()));
        assert_eq!(find(None), Some("/dev/ttyACM0".into()));
        assert_eq!(find(Some("C")), None);
    }

    fn line() -> Line {
        Line { baud: 9600, data_bits: 8, parity: Parity::None, stop_bits: 1, flow_control: FlowControl::None }
    }

    #[tokio::test]
    async fn what_is_no_port_is_refused_with_what_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let error = |path: &Path| find_and_open(&Port::Device(path.into()), &line(), true).unwrap_err().to_string();
        assert!(error(dir.path()).contains("is a directory; set `device`"));
        assert!(error(&dir.path().join("gone")).contains("is not there; plug"));
        let file = dir.path().join("file");
        std::fs::write(&file, "x").unwrap();
        assert!(error(&file).contains("is no serial port; set `device`"), "{}", error(&file));
    }

    #[test]
    fn a_port_that_takes_its_time_to_open_keeps_no_other_task_waiting() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build();
        runtime.unwrap().block_on(async {
            // Whatever blocks has to wait for this: a slow port in the only thread there is for such.
            let (go_on, waits) = std::sync::mpsc::channel::<()>();
            let slow = tokio::task::spawn_blocking(move || waits.recv());
            let (port, line) = (Port::Device("/dev".into()), line());
            let mut opening = std::pin::pin!(open(&port, &line, true));
            assert!(tokio::time::timeout(Duration::ZERO, &mut opening).await.is_err(), "it does not block this task");
            go_on.send(()).unwrap();
            slow.await.unwrap().unwrap();
            assert!(opening.await.unwrap_err().to_string().starts_with("/dev is a directory"));
        });
    }

    #[test]
    fn a_rate_that_the_driver_rounded_is_taken_and_another_is_refused() {
        let compare = |wanted, actual| compare_baud(Path::new("/dev/x"), wanted, actual);
        assert_eq!(compare(115_200, 117_647), Ok(()), "within the 3 % of a USB adapter's divider");
        let said = compare(250_000, 9600).unwrap_err().to_string();
        assert!(said.starts_with("the driver of /dev/x set 9600 baud instead of 250000; set `baud`"), "{said}");
    }

    #[test]
    fn what_the_system_says_is_explained_with_a_remedy() {
        use std::io::Error;

        // Linux's numbers, the same on every machine that the gateway runs on.
        const EIO: i32 = 5;
        const EACCES: i32 = 13;
        const EBUSY: i32 = 16;
        const EINVAL: i32 = 22;
        const ENOTTY: i32 = 25;
        // A device node that is there, so that its group can be named.
        let explained =
            |errno| explain(Path::new("/dev/null"), &line(), &Error::from_raw_os_error(errno).into()).to_string();
        for (errno, starts, remedy) in [
            (EINVAL, "the driver of /dev/null refuses 9600 baud", "set `baud`"),
            (EACCES, "no permission to open /dev/null", "sudo usermod -aG"),
            (ENOTTY, "/dev/null is no serial port", "set `device` to a tty"),
            (EBUSY, "/dev/null is in use by another program", "fuser -v /dev/null"),
            (EIO, "/dev/null would not open", "stty -F"),
        ] {
            let said = explained(errno);
            assert!(said.starts_with(starts) && said.contains(remedy), "{said}");
        }
    }
}
