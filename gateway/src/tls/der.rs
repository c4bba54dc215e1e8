//! The little of X.509 that is read here: what a certificate says of its owner. Whether it may be believed is
//! not decided here; rustls has verified it before, or it is the operator's own file.

/// The object identifier of a common name, 2.5.4.3.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// The longest name taken, as for a user's name in the settings.
const NAME_MAX_BYTES: usize = 256;

const UTC_TIME: u8 = 0x17;
const GENERAL_TIME: u8 = 0x18;
const INTEGER: u8 = 0x02;
const OBJECT: u8 = 0x06;
const UTF8: u8 = 0x0c;
const PRINTABLE: u8 = 0x13;
const IA5: u8 = 0x16;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const VERSION: u8 = 0xa0;
const BOOLEAN: u8 = 0x01;
const OCTETS: u8 = 0x04;
/// The extensions of a certificate, and in one of them a host name and an address (RFC 5280, sections 4.1 and 4.2.1.6).
const EXTENSIONS: u8 = 0xa3;
const DNS_NAME: u8 = 0x82;
const ADDRESS: u8 = 0x87;

/// The object identifier of the names that a certificate is for, 2.5.29.17.
const ALTERNATIVE_NAMES: &[u8] = &[0x55, 0x1d, 0x11];
/// Names that are shown of one certificate.
const NAMES: usize = 64;

/// Values, one behind the other.
struct Values<'a>(&'a [u8]);

impl<'a> Values<'a> {
    /// The next one: its tag and what it holds. `None` at the end, and where the length lies.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&tag, rest) = self.0.split_first()?;
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            // Certificates are shorter than 16 MiB.
            0x81..=0x83 => {
                let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
            }
            _ => return None,
        };
        let (held, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, held))
    }

    fn expect(&mut self, wanted: u8) -> Option<&'a [u8]> {
        self.next().filter(|(tag, _)| *tag == wanted).map(|(_, held)| held)
    }

    fn enter(&mut self, wanted: u8) -> Option<Self> {
        self.expect(wanted).map(Self)
    }
}

/// The parts of a certificate (RFC 5280, section 4.1) up to its key.
struct Certificate<'a> {
    validity: Values<'a>,
    subject: Values<'a>,
    /// What begins with the key.
    rest: &'a [u8],
}

fn certificate(der: &[u8]) -> Option<Certificate<'_>> {
    let mut body = Values(der).enter(SEQUENCE)?.enter(SEQUENCE)?;
    if body.0.first() == Some(&VERSION) {
        body.next()?;
    }
    body.expect(INTEGER)?;
    let _algorithm = body.expect(SEQUENCE)?;
    let _issuer = body.expect(SEQUENCE)?;
    let validity = body.enter(SEQUENCE)?;
    Some(Certificate { validity, subject: body.enter(SEQUENCE)?, rest: body.0 })
}

/// A certificate's SubjectPublicKeyInfo, tag and length included.
pub(super) fn public_key(der: &[u8]) -> Option<&[u8]> {
    let rest = certificate(der)?.rest;
    let mut values = Values(rest);
    values.expect(SEQUENCE)?;
    rest.get(..rest.len() - values.0.len())
}

/// The host names and addresses that a certificate is for. Names of other kinds are left out, as is what is broken.
pub(super) fn names(der: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    let Some(mut general) = alternative_names(der) else { return found };
    while let Some((kind, held)) = general.next() {
        let name = match kind {
            DNS_NAME => str::from_utf8(held).ok().filter(|name| !name.contains(char::is_control)).map(str::to_owned),
            ADDRESS => address(held),
            _ => None,
        };
        found.extend(name.filter(|name| name.len() <= NAME_MAX_BYTES && found.len() < NAMES));
    }
    found
}

fn alternative_names(der: &[u8]) -> Option<Values<'_>> {
    let mut rest = Values(certificate(der)?.rest);
    let mut extensions = loop {
        if let (EXTENSIONS, held) = rest.next()? {
            break Values(held).enter(SEQUENCE)?;
        }
    };
    loop {
        let mut extension = extensions.enter(SEQUENCE)?;
        if extension.expect(OBJECT)? == ALTERNATIVE_NAMES {
            if extension.0.first() == Some(&BOOLEAN) {
                extension.next()?;
            }
            return Values(extension.expect(OCTETS)?).enter(SEQUENCE);
        }
    }
}

fn address(bytes: &[u8]) -> Option<String> {
    let v4 = <[u8; 4]>::try_from(bytes).map(|bytes| std::net::Ipv4Addr::from(bytes).to_string());
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(|bytes| std::net::Ipv6Addr::from(bytes).to_string())).ok()
}

/// When a certificate ends: `2036-01-31 12:00:00 UTC`.
pub(super) fn ends(der: &[u8]) -> Option<String> {
    let mut validity = certificate(der)?.validity;
    validity.next()?;
    let (kind, digits) = validity.next()?;
    let digits = str::from_utf8(digits).ok()?.strip_suffix('Z')?;
    let digits = match kind {
        // Two digits of the year mean 1950 to 2049 (RFC 5280, section 4.1.2.5.1).
        UTC_TIME if digits < "50" => format!("20{digits}"),
        UTC_TIME => format!("19{digits}"),
        GENERAL_TIME => digits.to_owned(),
        _ => return None,
    };
    let good = digits.len() == 14 && digits.bytes().all(|digit| digit.is_ascii_digit());
    let part = |from, to| digits.get(from..to).filter(|_| good);
    let (day, time) = ([part(0, 4)?, part(4, 6)?, part(6, 8)?], [part(8, 10)?, part(10, 12)?, part(12, 14)?]);
    Some(format!("{} {} UTC", day.join("-"), time.join(":")))
}

/// The common name of a certificate's owner. None where there is none or more than one, and for a text that no user
/// could have as a name.
pub fn common_name(der: &[u8]) -> Option<String> {
    let mut subject = certificate(der)?.subject;
    let mut found = None;
    while !subject.0.is_empty() {
        let mut set = subject.enter(SET)?;
        while !set.0.is_empty() {
            let mut pair = set.enter(SEQUENCE)?;
            let (object, (kind, value)) = (pair.expect(OBJECT)?, pair.next()?);
            if object == COMMON_NAME {
                let text = matches!(kind, UTF8 | PRINTABLE | IA5).then(|| str::from_utf8(value).ok()).flatten()?;
                if found.replace(text).is_some() {
                    return None;
                }
            }
        }
    }
    let fits = |name: &&str| (1..=NAME_MAX_BYTES).contains(&name.len()) && !name.contains(char::is_control);
    found.filter(fits).map(str::to_owned)
}
