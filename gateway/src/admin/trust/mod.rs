//! Who somebody is: people with their passwords and sessions, tokens of programs, and the code of the first start.
//!
//! Never decides what a role opens: the routes say that, and `guard.rs` holds them to it.

mod cookie;
mod origin;
mod sessions;
mod setup;

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

pub(super) use self::cookie::Cookies;
pub(super) use self::origin::same_origin;
pub(super) use self::sessions::Opened;
use self::sessions::Sessions;
use self::setup::Setup;
use crate::password::{Asked, Counts, Hash, Passwords, Permit, Proof, Verdict, same, typed_code};
use crate::people::{self, People, PeopleFile, Role};

/// How long somebody waits for his turn to have a password checked.
const PATIENCE: Duration = Duration::from_secs(10);

/// Who asks.
#[derive(Debug, Clone)]
pub(super) enum Caller {
    /// Nobody whom we know.
    Nobody,
    /// Somebody who has signed in.
    Person {
        /// The name.
        name: Arc<str>,
        /// What he may do now.
        role: Role,
        /// What his forms carry.
        csrf: Arc<str>,
        /// The digest of what his cookie holds.
        session: Arc<str>,
    },
    /// A program.
    Token {
        /// The token's name.
        name: Arc<str>,
        /// What it may do.
        role: Role,
        /// Its digest: another may come to have its name.
        digest: Arc<str>,
    },
    /// The command line, by the socket that the gateway's own user alone can open.
    CommandLine,
}

impl Caller {
    /// What he may do; nobody may nothing.
    pub(super) fn role(&self) -> Option<Role> {
        match self {
            Self::Nobody => None,
            Self::Person { role, .. } | Self::Token { role, .. } => Some(*role),
            Self::CommandLine => Some(Role::Admin),
        }
    }

    /// For the audit log.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Nobody => "nobody".to_owned(),
            Self::Person { name, .. } => name.to_string(),
            Self::Token { name, .. } => format!("token {name}"),
            Self::CommandLine => "command line".to_owned(),
        }
    }
}

/// Why somebody was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// Name or password, or the code, is wrong.
    Wrong,
    /// There were too many wrong ones.
    HeldBack,
    /// Too many wait.
    Busy,
}

/// What is known of people.
struct Known {
    people: Arc<People>,
    /// The file could be read last time. As long as it could not, nobody may set the gateway up anew.
    readable: bool,
}

/// See the module's head.
pub(super) struct Trust {
    file: PeopleFile,
    known: RwLock<Known>,
    /// Held from the look at the file until what it says is known: nothing older may come behind it.
    taking: Mutex<()>,
    passwords: Passwords,
    counts: Arc<Counts>,
    sessions: Sessions,
    setup: Setup,
}

impl Trust {
    /// Reads who there is. What can't be read is logged: then nobody can sign in until it can.
    pub(super) fn open(data_dir: &Path, permit: Permit, told: Option<Hash>) -> Self {
        let counts = Arc::<Counts>::default();
        let trust = Self {
            file: PeopleFile::of(data_dir),
            known: RwLock::new(Known { people: Arc::default(), readable: false }),
            taking: Mutex::default(),
            passwords: Passwords::new(permit, Arc::clone(&counts)),
            counts,
            sessions: Sessions::default(),
            setup: Setup::new(told),
        };
        let _ = trust.reload();
        trust
    }

    /// Reads the file again. What can't be read leaves what there was. Waits for the disk.
    pub(super) fn reload(&self) -> Result<(), String> {
        let _taking = self.taking.lock().unwrap_or_else(PoisonError::into_inner);
        let read = self.file.read();
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.readable = read.is_ok();
        match read {
            Ok(people) => {
                known.people = Arc::new(people);
                Ok(())
            }
            Err(error) => {
                log::error!(error = error; "people can't be read; those of before go on, and where there were none nobody can sign in");
                Err(error)
            }
        }
    }

    /// All of now.
    pub(super) fn people(&self) -> Arc<People> {
        Arc::clone(&self.known.read().unwrap_or_else(PoisonError::into_inner).people)
    }

    /// Changes who there is: in the file, then here.
    pub(super) async fn change<T: Send + 'static>(
        self: &Arc<Self>,
        change: impl FnOnce(&mut People) -> Result<T, String> + Send + 'static,
    ) -> Result<T, String> {
        let trust = Arc::clone(self);
        let changed = tokio::task::spawn_blocking(move || {
            let _taking = trust.taking.lock().unwrap_or_else(PoisonError::into_inner);
            let (given, people) = trust.file.change(change)?;
            let mut known = trust.known.write().unwrap_or_else(PoisonError::into_inner);
            *known = Known { people: Arc::new(people), readable: true };
            Ok(given)
        });
        changed.await.map_err(|panic| panic.to_string())?
    }

    /// Who has this cookie. `active` says that a person did something, and not a script by itself.
    pub(super) fn by_cookie(&self, secret: &str, active: bool) -> Caller {
        let session: Arc<str> = people::digest(secret).into();
        match self.by_session(&session, active) {
            Some((name, role, csrf)) => Caller::Person { name, role, csrf, session },
            None => Caller::Nobody,
        }
    }

    fn by_session(&self, session: &str, active: bool) -> Option<(Arc<str>, Role, Arc<str>)> {
        let (name, csrf, proof) = self.sessions.find(session, active, Instant::now())?;
        let people = self.people();
        // With another password, or gone, whoever has signed in is nobody.
        let Some(person) = people.person(&name).filter(|person| person.hash == proof) else {
            self.sessions.end(session);
            return None;
        };
        Some((name, person.role, csrf))
    }

    /// Whether somebody may still do what this role may: for answers that go on and on.
    pub(super) fn still(&self, caller: &Caller, needs: Role) -> bool {
        match caller {
            Caller::Nobody => false,
            Caller::Person { session, .. } => self.by_session(session, false).is_some_and(|(_, role, _)| role >= needs),
            Caller::Token { digest, .. } => {
                self.people().token.iter().any(|token| token.digest == **digest && token.scope >= needs)
            }
            Caller::CommandLine => true,
        }
    }

    /// Whose token this is.
    pub(super) fn by_token(&self, secret: &str) -> Caller {
        let digest = people::digest(secret);
        match self.people().token.iter().find(|token| token.digest == digest) {
            Some(token) => Caller::Token { name: token.name.as_str().into(), role: token.scope, digest: digest.into() },
            None => Caller::Nobody,
        }
    }

    /// Checks a password and begins a session.
    pub(super) async fn sign_in(&self, name: &str, password: &str, address: IpAddr) -> Result<Opened, Refused> {
        let people = self.people();
        let hash = people.person(name).map(|person| &person.hash);
        self.check(Asked { user: name, proof: hash.map(Proof::Hash), password: password.as_bytes(), address }).await?;
        match hash {
            Some(hash) => self.open_for(name, hash).map_err(|_| Refused::Busy),
            None => Err(Refused::Wrong),
        }
    }

    async fn check(&self, asked: Asked<'_>) -> Result<(), Refused> {
        match self.passwords.check(&asked, tokio::time::Instant::now() + PATIENCE).await {
            Verdict::Right => Ok(()),
            Verdict::Wrong => Err(Refused::Wrong),
            Verdict::HeldBack => Err(Refused::HeldBack),
            Verdict::Busy => Err(Refused::Busy),
        }
    }

    /// Begins a session for somebody who has proved who he is by this password's hash.
    ///
    /// # Errors
    /// When the system has no random numbers.
    pub(super) fn open_for(&self, name: &str, hash: &Hash) -> Result<Opened, String> {
        self.sessions.begin(name, hash, Instant::now())
    }

    /// Ends somebody's session.
    pub(super) fn sign_out(&self, caller: &Caller) {
        if let Caller::Person { session, .. } = caller {
            self.sessions.end(session);
        }
    }

    /// Whether the gateway waits for its first admin.
    pub(super) fn needs_setup(&self) -> bool {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.readable && !known.people.has_admin()
    }

    /// The code that makes whoever knows it the first admin; `None` when there is one already.
    pub(super) fn setup_code(&self) -> Option<String> {
        self.needs_setup().then(|| self.setup.code()).flatten()
    }

    /// Makes the first admin, who is signed in at once.
    ///
    /// # Errors
    /// In words for whoever tries, with why when it is the code.
    pub(super) async fn set_up(
        self: &Arc<Self>,
        code: &str,
        (name, password): (&str, &str),
        address: IpAddr,
    ) -> Result<Opened, (Option<Refused>, String)> {
        let Some(expected) = self.setup_code() else {
            return Err((None, "the gateway is set up already; sign in".to_owned()));
        };
        let given = typed_code(code);
        // The code of this run costs nothing to compare, so it goes first.
        let proof = match self.setup.told().filter(|_| !same(given.as_bytes(), expected.as_bytes())) {
            Some(told) => Proof::Hash(told),
            None => Proof::Plain(&expected),
        };
        let asked = Asked { user: "", proof: Some(proof), password: given.as_bytes(), address };
        let refused = |refused| (Some(refused), String::new());
        self.check(asked).await.map_err(refused)?;
        let in_words = |why| (None, why);
        people::check_name(name).and_then(|()| people::check_password(password)).map_err(in_words)?;
        let (owned, given) = (name.to_owned(), password.to_owned());
        let hash = self.hash(given).await.map_err(in_words)?;
        let own = hash.clone();
        let made = self.change(move |people| {
            if people.has_admin() {
                return Err("the gateway is set up already; sign in".to_owned());
            }
            people.add(&owned, Role::Admin, hash)
        });
        made.await.map_err(in_words)?;
        self.setup.done();
        log::info!(name = name; "the admin page is set up");
        self.open_for(name, &own).map_err(in_words)
    }

    /// Passwords and codes that came, by what was done with them.
    pub(super) fn password_checks(&self) -> &Counts {
        &self.counts
    }

    /// Does what takes as much memory as hashing a password, when it is its turn.
    pub(super) async fn in_turn<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, String> {
        self.passwords.permit().run(work).await
    }

    /// Hashes a password when it is its turn.
    pub(super) async fn hash(&self, password: String) -> Result<Hash, String> {
        self.in_turn(move || Hash::of(&password)).await?
    }

    /// Leaves word for whoever has this session, to be shown once.
    pub(super) fn tell(&self, caller: &Caller, notice: String) {
        if let Caller::Person { session, .. } = caller {
            self.sessions.tell(session, notice);
        }
    }

    /// What was left.
    pub(super) fn told(&self, caller: &Caller) -> Option<String> {
        match caller {
            Caller::Person { session, .. } => self.sessions.told(session),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
