//! The control connection to an iperf3 server (iperf 3.x, `iperf_api.h` and `iperf_client_api.c` name the states).

use std::io;
use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Letters of a cookie, and the NUL behind them.
const COOKIE: usize = 37;
/// The letters that a cookie may have.
const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// The longest JSON that is read, in bytes.
const LONGEST: usize = 64 << 10;

/// Where the test is: one byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i8)]
pub(super) enum Say {
    TestStart = 1,
    TestRunning = 2,
    TestEnd = 4,
    ParamExchange = 9,
    CreateStreams = 10,
    ServerTerminate = 11,
    ExchangeResults = 13,
    DisplayResults = 14,
    Done = 16,
    AccessDenied = -1,
    ServerError = -2,
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error("{0}")]
    Way(String),
    #[error("{0} can't be reached: {1}; does an iperf3 server run there, `iperf3 -s`?")]
    Unreached(SocketAddr, io::Error),
    #[error("the iperf3 server is busy with another test")]
    Busy,
    #[error("the iperf3 server took too long to answer")]
    Slow,
    #[error("no datagram of the iperf3 server arrives; does a firewall let UDP through?")]
    NoDatagrams,
    #[error("the iperf3 server ended the test")]
    Ended,
    #[error("the iperf3 server has an error of its own, number {0}; look at what it says there")]
    Server(i32),
    #[error("what answers is no iperf3 server: {0}")]
    Strange(String),
    #[error("the connection to the iperf3 server was lost: {0}")]
    Lost(#[from] io::Error),
    #[error("the thread that moves data failed")]
    Thread,
}

/// See the module's head.
pub(super) struct Control {
    stream: TcpStream,
    cookie: [u8; COOKIE],
}

impl Control {
    /// Says who is there.
    pub(super) async fn over(mut stream: TcpStream) -> Result<Self, Trouble> {
        let mut cookie = [0; COOKIE];
        getrandom::fill(&mut cookie).map_err(io::Error::other)?;
        cookie.iter_mut().for_each(|byte| *byte = LETTERS[usize::from(*byte % 32)]);
        cookie[COOKIE - 1] = 0;
        let _ = stream.set_nodelay(true);
        stream.write_all(&cookie).await?;
        Ok(Self { stream, cookie })
    }

    pub(super) fn cookie(&self) -> &[u8] {
        &self.cookie
    }

    pub(super) async fn say(&mut self, what: Say) -> Result<(), Trouble> {
        Ok(self.stream.write_i8(what as i8).await?)
    }

    /// Waits until the server is there.
    pub(super) async fn wait_for(&mut self, what: Say) -> Result<(), Trouble> {
        let said = self.stream.read_i8().await?;
        if said == what as i8 {
            return Ok(());
        }
        Err(self.refusal(said).await)
    }

    /// Waits until the server says something that it should not while data flows, and says what.
    pub(super) async fn broken(&mut self) -> Trouble {
        match self.stream.read_i8().await {
            Ok(said) => self.refusal(said).await,
            Err(error) => Trouble::Lost(error),
        }
    }

    async fn refusal(&mut self, said: i8) -> Trouble {
        const DENIED: i8 = Say::AccessDenied as i8;
        const ENDED: i8 = Say::ServerTerminate as i8;
        const FAILED: i8 = Say::ServerError as i8;
        match said {
            DENIED => Trouble::Busy,
            ENDED => Trouble::Ended,
            FAILED => self.stream.read_i32().await.map_or_else(Trouble::Lost, Trouble::Server),
            other => Trouble::Strange(format!("it says {other}")),
        }
    }

    pub(super) async fn tell(&mut self, value: &Value) -> Result<(), Trouble> {
        let text = value.to_string();
        let length = u32::try_from(text.len()).map_err(io::Error::other)?;
        let whole = [&length.to_be_bytes()[..], text.as_bytes()].concat();
        Ok(self.stream.write_all(&whole).await?)
    }

    pub(super) async fn hear(&mut self) -> Result<Value, Trouble> {
        let length = self.stream.read_u32().await? as usize;
        if length > LONGEST {
            return Err(Trouble::Strange(format!("its answer has {length} bytes")));
        }
        let mut text = vec![0; length];
        self.stream.read_exact(&mut text).await?;
        serde_json::from_slice(&text).map_err(|error| Trouble::Strange(error.to_string()))
    }
}
