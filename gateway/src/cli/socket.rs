//! The socket of a gateway on this machine, in its data folder.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use hyper::Method;
use hyper::body::Incoming;
use tokio::net::UnixStream;

use super::ConfigFile;
use super::gateway::{Ask, send};
use crate::admin;
use crate::changes::Changes;
use crate::config::{Loaded, Problems};

/// Which running gateway is meant.
#[derive(Debug, clap::Args)]
pub(super) struct Which {
    #[command(flatten)]
    file: ConfigFile,
    /// The gateway's data folder; without it, the one in the settings
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
}

impl Which {
    /// The socket's path.
    fn socket(&self) -> Result<PathBuf, anyhow::Error> {
        let dir = match &self.data_dir {
            Some(dir) => dir.clone(),
            None => self.file.load()?.settings.gateway.data_dir,
        };
        Ok(admin::socket_path(&dir))
    }

    /// The settings, good or lacking users alone.
    pub(super) fn before_users(&self) -> Result<Loaded, Problems> {
        self.file.load_before_users()
    }

    /// The changes of the settings.
    pub(super) fn changes(&self) -> Changes {
        self.file.changes()
    }

    /// Whether the settings are good as they stand.
    pub(super) fn are_good(&self) -> bool {
        self.file.load().is_ok()
    }

    /// The data folder that the arguments name.
    pub(super) fn named_data_dir(&self) -> Option<PathBuf> {
        self.data_dir.clone()
    }

    /// The data folder that is meant.
    pub(super) fn data_dir_before_users(&self) -> Result<PathBuf, Problems> {
        match &self.data_dir {
            Some(data_dir) => Ok(data_dir.clone()),
            None => Ok(self.before_users()?.settings.gateway.data_dir),
        }
    }

    /// Asks it for something, and gives the body as it comes.
    pub(super) async fn ask(&self, method: Method, target: &str) -> Result<Incoming, anyhow::Error> {
        let path = self.socket()?;
        let stream = UnixStream::connect(&path).await.map_err(|error| explain(&path, &error))?;
        send(stream, Ask::new(method, target)).await
    }
}

/// Has the gateway with this data folder do something. `false` when none is running there.
pub(super) async fn post(data_dir: &Path, target: &str) -> Result<bool, anyhow::Error> {
    Ok(ask(data_dir, Method::POST, target).await?.is_some())
}

/// Asks the gateway with this data folder for `target`. `None` when none is running there.
pub(super) async fn get(data_dir: &Path, target: &str) -> Result<Option<Incoming>, anyhow::Error> {
    ask(data_dir, Method::GET, target).await
}

async fn ask(data_dir: &Path, method: Method, target: &str) -> Result<Option<Incoming>, anyhow::Error> {
    let path = admin::socket_path(data_dir);
    match UnixStream::connect(&path).await {
        Ok(stream) => send(stream, Ask::new(method, target)).await.map(Some),
        // Without a gateway the socket is not there, or nobody listens on it any more.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) => Ok(None),
        Err(error) => Err(explain(&path, &error)),
    }
}

fn explain(path: &Path, error: &std::io::Error) -> anyhow::Error {
    let remedy = match error.kind() {
        ErrorKind::PermissionDenied => "run it as root, or as the gateway's own user: sudo -u stile stile ...",
        _ => "is the gateway running? name its data folder with --data-dir DIR",
    };
    anyhow::anyhow!("can't reach the gateway at {}: {error}; {remedy}", path.display())
}
