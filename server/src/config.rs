//! The configuration: one typed value, from a file, flags, and `--set KEY=VALUE`, in that order.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use rim_driver::Settings;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use toml::{Table, Value};

/// Everything that can be set. Unknown keys are refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The directory that is served.
    pub root: PathBuf,
    /// Addresses to listen on.
    pub listen: Vec<SocketAddr>,
    /// Cores to run on, one worker each, as in `0-3,8`; empty for all that are allowed.
    pub cores: String,
    /// What is served for a directory.
    pub index: String,
    /// Bounds on time, numbers and sizes.
    pub limits: Limits,
    /// The cache.
    pub cache: Cache,
    /// The driver, and each of its features.
    pub driver: Settings,
}

/// Bounds on time, numbers and sizes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Connections in all; 0 for as many as the limit on open files allows.
    pub connections_max: usize,
    /// Connections that wait to be accepted, per listener.
    pub backlog: i32,
    /// For a request to arrive once it has begun, and for the first one of a connection.
    pub head_timeout_ms: u64,
    /// For the next request on a connection.
    pub idle_timeout_ms: u64,
    /// For a client to take what is sent at once (at most 256 KiB), or to go on at `send_rate_min`.
    pub send_timeout_ms: u64,
    /// The slowest rate at which a client may take an answer, in bytes per second.
    pub send_rate_min: u64,
    /// For a file to be at hand.
    pub file_timeout_ms: u64,
    /// For answers to be finished after SIGTERM.
    pub drain_timeout_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 0,
            backlog: 4096,
            head_timeout_ms: 10_000,
            idle_timeout_ms: 60_000,
            send_timeout_ms: 30_000,
            send_rate_min: 512,
            file_timeout_ms: 30_000,
            drain_timeout_ms: 30_000,
        }
    }
}

/// The cache.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cache {
    /// Memory for files, in bytes; without it, an eighth of what the process may use.
    pub bytes_max: Option<u64>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            root: PathBuf::new(),
            listen: vec![SocketAddr::from(([127, 0, 0, 1], 8080))],
            cores: String::new(),
            index: "index.html".into(),
            limits: Limits::default(),
            cache: Cache::default(),
            driver: Settings::default(),
        }
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}: {error}; check path and permissions", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::Error,
    },
    /// The file is no configuration.
    #[error("{}:{line}: {message}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong, in one line.
        message: String,
    },
    /// A `--set` is not of the form KEY=VALUE.
    #[error("--set {0}: write KEY=VALUE, like --set limits.idle_timeout_ms=5000")]
    NoAssignment(String),
    /// A `--set` names no key, or has a value of the wrong kind for it.
    #[error("{key}: {message}")]
    Refused {
        /// The key.
        key: String,
        /// What is wrong, in one line.
        message: String,
    },
    /// A value that cannot work.
    #[error("{key}: {message}")]
    Invalid {
        /// The key.
        key: &'static str,
        /// What is wrong and what would be right.
        message: &'static str,
    },
}

impl Config {
    /// Reads `file`, if there is one, and carries out `assignments` in their order.
    ///
    /// # Errors
    /// What is wrong, where, in one line.
    pub fn load(file: Option<&Path>, assignments: Vec<Assignment>) -> Result<Self, ConfigError> {
        let mut table = file.map_or_else(|| Ok(Table::new()), read_table)?;
        // Carried out one by one, so that an error can name the one that is wrong.
        for assignment in assignments {
            table = assignment.carry_out(&table)?;
        }
        let refused = |message| ConfigError::Refused { key: "configuration".into(), message };
        let config = from_table(table).map_err(refused)?;
        config.validate()?;
        Ok(config)
    }

    fn validate(&self) -> Result<(), ConfigError> {
        let invalid = |key, message| Err(ConfigError::Invalid { key, message });
        let powers = [
            ("driver.submission_entries", self.driver.submission_entries, 1 << 15),
            ("driver.receive_buffers", self.driver.receive_buffers.into(), 1 << 15),
        ];
        for (key, value, max) in powers {
            if !value.is_power_of_two() || value > max {
                return invalid(key, "has to be a power of two, at most 32768");
            }
        }
        if !(512..=1 << 20).contains(&self.driver.receive_buffer_bytes) {
            return invalid("driver.receive_buffer_bytes", "has to be from 512 to 1048576");
        }
        if self.listen.is_empty() {
            return invalid("listen", "name at least one address, like 127.0.0.1:8080");
        }
        if self.index.is_empty() || self.index.contains(['/', '\0']) {
            return invalid("index", "has to be the name of a file, without a slash");
        }
        if self.limits.backlog < 1 {
            return invalid("limits.backlog", "has to be at least 1");
        }
        let timeouts = [
            ("limits.head_timeout_ms", self.limits.head_timeout_ms),
            ("limits.idle_timeout_ms", self.limits.idle_timeout_ms),
            ("limits.send_timeout_ms", self.limits.send_timeout_ms),
            ("limits.file_timeout_ms", self.limits.file_timeout_ms),
        ];
        for (key, timeout) in timeouts {
            if !(100..=86_400_000).contains(&timeout) {
                return invalid(key, "has to be from 100 to 86400000 (a day)");
            }
        }
        Ok(())
    }
}

/// One key that is set from outside the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Assignment {
    /// With dots between the names of tables.
    pub key: String,
    /// What it is set to.
    pub value: Value,
    /// How that was written, if it looked like something else than text.
    text: Option<String>,
}

impl Assignment {
    /// Sets `key` to `value`.
    pub fn new(key: &str, value: impl Into<Value>) -> Self {
        Self { key: key.to_owned(), value: value.into(), text: None }
    }

    /// Reads KEY=VALUE.
    ///
    /// # Errors
    /// If it has no `=`.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let no_assignment = || ConfigError::NoAssignment(text.to_owned());
        let (key, text) = text.split_once('=').ok_or_else(no_assignment)?;
        let value = parse_value(text);
        let text = (!value.is_str()).then(|| text.to_owned());
        Ok(Self { key: key.trim().to_owned(), value, text })
    }

    /// The table with the key set.
    fn carry_out(&self, table: &Table) -> Result<Table, ConfigError> {
        let set = |value: Value| {
            let mut table = table.clone();
            assign(&mut table, &self.key, value)?;
            from_table(table.clone()).map(|_| table)
        };
        let refused = |message| ConfigError::Refused { key: self.key.clone(), message };
        set(self.value.clone()).or_else(|message| {
            // What looks like a number may be meant as text: cores=0.
            let text = self.text.clone().map(Value::String);
            text.and_then(|text| set(text).ok()).ok_or(refused(message))
        })
    }
}

fn read_table(path: &Path) -> Result<Table, ConfigError> {
    let text = fs::read_to_string(path)
        .map_err(|error| ConfigError::Unreadable { path: path.to_owned(), error })?;
    let malformed = |error: toml::de::Error| {
        let start = error.span().map_or(0, |span| span.start.min(text.len()));
        let line = text[..start].matches('\n').count() + 1;
        let message = one_line(error.message());
        ConfigError::Malformed { path: path.to_owned(), line, message }
    };
    // Read for its errors, which tell the line; the table is what assignments go into.
    toml::from_str::<Config>(&text).map_err(malformed)?;
    text.parse::<Table>().map_err(malformed)
}

fn from_table(table: Table) -> Result<Config, String> {
    Config::deserialize(Value::Table(table)).map_err(|error| one_line(error.message()))
}

/// A value as TOML has it, or else the text as it stands, so that few shells see quotes.
fn parse_value(text: &str) -> Value {
    let parsed = format!("value = {text}").parse::<Table>().ok();
    let value = parsed.and_then(|mut table| table.remove("value"));
    value.unwrap_or_else(|| Value::String(text.to_owned()))
}

fn assign(table: &mut Table, key: &str, value: Value) -> Result<(), String> {
    let Some((head, rest)) = key.split_once('.') else {
        table.insert(key.to_owned(), value);
        return Ok(());
    };
    match table.entry(head).or_insert_with(|| Value::Table(Table::new())) {
        Value::Table(inner) => assign(inner, rest, value),
        _ => Err(format!("`{head}` is a value and has no `{rest}`")),
    }
}

/// A message without line ends, which what it quotes may have.
#[must_use]
pub fn one_line(message: &str) -> String {
    message.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn set(assignments: &[&str]) -> Result<Config, String> {
        let assignments: Result<_, _> =
            assignments.iter().map(|text| Assignment::parse(text)).collect();
        let config = assignments.and_then(|assignments| Config::load(None, assignments));
        config.map_err(|error| error.to_string())
    }

    fn file(text: &str) -> Result<Config, String> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        Config::load(Some(file.path()), Vec::new())
            .map_err(|error| error.to_string().replace(&file.path().display().to_string(), "FILE"))
    }

    #[test]
    fn assignments_reach_every_depth_and_the_last_one_counts() {
        let config = set(&[
            "index=home.html",
            "limits.idle_timeout_ms=5000",
            "limits.idle_timeout_ms=6000",
            "driver.multishot_receive=false",
            "listen=[\"[::1]:80\"]",
            "cache.bytes_max=1000",
        ])
        .unwrap();
        assert_eq!(set(&["cores=0", "root=2024"]).unwrap().cores, "0");
        assert_eq!(config.index, "home.html");
        assert_eq!(config.limits.idle_timeout_ms, 6000);
        assert!(!config.driver.multishot_receive);
        assert_eq!(config.listen, ["[::1]:80".parse().unwrap()]);
        assert_eq!(config.cache.bytes_max, Some(1000));
    }

    #[test]
    fn what_is_wrong_is_said_in_one_line() {
        for (assignment, part) in [
            ("index", "write KEY=VALUE"),
            ("indx=a", "unknown field `indx`"),
            ("limits.idle=5", "unknown field `idle`"),
            ("limits.idle_timeout_ms=soon", "invalid type: string \"soon\""),
            ("limits.idle_timeout_ms=-1", "invalid value"),
            ("limits.idle_timeout_ms=1", "has to be from 100"),
            ("index.name=a", "expected a string"),
            ("driver.submission_entries=1000", "power of two"),
            ("listen=[]", "at least one address"),
            ("listen=[\"here\"]", "invalid socket address"),
            ("index=a/b", "without a slash"),
            ("driver.kind=kqueue", "unknown variant `kqueue`"),
        ] {
            let message = set(&[assignment]).unwrap_err();
            assert!(message.contains(part), "{message}");
            assert!(!message.contains('\n'), "{message}");
        }
    }

    #[test]
    fn a_file_is_read_and_its_errors_tell_the_line() {
        let config = file("index = \"a.html\"\n[driver]\nkind = \"epoll\"\n").unwrap();
        assert_eq!(config.index, "a.html");
        assert_eq!(config.driver.kind, rim_driver::Kind::Epoll);
        let message = file("index = \"a\"\n\n[limits]\nidel_timeout_ms = 1\n").unwrap_err();
        assert!(message.starts_with("FILE:4: unknown field `idel_timeout_ms`"), "{message}");
        let message = file("index = \n").unwrap_err();
        assert!(message.starts_with("FILE:1: "), "{message}");
        let missing = Config::load(Some(Path::new("/nonexistent.toml")), Vec::new()).unwrap_err();
        assert!(missing.to_string().contains("cannot read the configuration"), "{missing}");
    }

    #[test]
    fn the_default_is_valid_and_survives_toml() {
        let config = set(&[]).unwrap();
        let text = toml::to_string(&config).unwrap();
        assert_eq!(file(&text), Ok(config));
    }
}
