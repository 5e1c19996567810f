//! A mark on disk that a call is running, for the next process to find when this one is killed.
//!
//! It names the chat and the party, and nothing else. The process that wrote it holds a lock on it for as long as it lives,
//! which the system lets go of however it ends: a mark that is locked is of a call that runs elsewhere, and no call was cut.

use serde::{Deserialize, Serialize};
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// A mark that nobody touched for so long is of a call that nobody waits for any more.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(15 * 60);

/// How often a mark is touched while the call runs.
pub(super) const TOUCH_EVERY: Duration = Duration::from_secs(60);

/// A call that was running when its process ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CutCall {
    pub chat_id: String,
    pub party_id: String,
}

/// The mark of one client's calls.
#[derive(Debug)]
pub(super) struct LastCall {
    path: PathBuf,
    /// The mark of this process, locked.
    own: Option<File>,
}

impl LastCall {
    pub fn at(path: PathBuf) -> Self {
        Self { path, own: None }
    }

    /// The call that was cut, if one was. What cannot be read counts as none.
    pub fn cut(&self) -> Option<CutCall> {
        read(&self.path).unwrap_or_else(|error| {
            tracing::debug!("the mark {} cannot be used: {error}", self.path.display());
            None
        })
    }

    /// A call runs from now on.
    pub fn begin(&mut self, call: &CutCall) {
        self.own = write(&self.path, call)
            .inspect_err(|e| tracing::warn!("no mark of the call can be left in {}: {e}", self.path.display()))
            .ok();
    }

    /// The call still runs.
    pub fn touch(&self) {
        if let Some(Err(error)) = self.own.as_ref().map(|file| file.set_modified(SystemTime::now())) {
            tracing::debug!("the mark {} cannot be touched: {error}", self.path.display());
        }
    }

    /// No call runs any more.
    pub fn end(&mut self) {
        if self.own.take().is_some() {
            self.forget();
        }
    }

    /// The call that was cut is dealt with.
    pub fn forget(&self) {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::debug!("the mark {} cannot be removed: {error}", self.path.display());
            }
            _ => {}
        }
    }
}

fn read(path: &Path) -> io::Result<Option<CutCall>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => return Ok(None),
        // A file system without locks cannot tell. Better to ask once too often.
        Err(TryLockError::Error(_)) | Ok(()) => {}
    }
    // The clock may have been set meanwhile, either way.
    let modified = file.metadata()?.modified()?;
    let age = modified.elapsed().unwrap_or_else(|ahead| ahead.duration());
    if age > FORGOTTEN_AFTER {
        return Ok(None);
    }
    serde_json::from_reader(file).map(Some).map_err(io::Error::from)
}

/// Beside, locked, and then moved: a mark is never half there, and never unlocked while its process lives. Temporary files
/// have mode 0600, and keep it.
fn write(path: &Path, call: &CutCall) -> io::Result<File> {
    let dir = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(dir)?;
    let file = tempfile::NamedTempFile::new_in(dir)?;
    serde_json::to_writer(&file, call)?;
    if let Err(TryLockError::Error(error)) = file.as_file().try_lock() {
        tracing::debug!("the mark cannot be locked: {error}");
    }
    file.persist(path).map_err(|e| e.error)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn call() -> CutCall {
        CutCall { chat_id: "c-1".into(), party_id: "ann".into() }
    }

    /// What a process leaves that is killed in a call.
    fn killed(path: &Path) {
        let mut last = LastCall::at(path.to_owned());
        last.begin(&call());
        last.own = None;
    }

    #[test]
    fn a_call_whose_process_was_killed_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state/mark");
        assert_eq!(LastCall::at(path.clone()).cut(), None);
        killed(&path);
        assert_eq!(LastCall::at(path.clone()).cut(), Some(call()));
        LastCall::at(path.clone()).forget();
        assert_eq!(LastCall::at(path).cut(), None);
    }

    #[test]
    fn a_call_that_ended_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mark");
        let mut last = LastCall::at(path.clone());
        last.begin(&call());
        assert!(path.exists());
        last.end();
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_call_that_runs_in_another_process_was_not_cut() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mark");
        let mut other = LastCall::at(path.clone());
        other.begin(&call());
        assert_eq!(LastCall::at(path).cut(), None);
    }

    #[test]
    fn a_call_of_long_ago_is_forgotten_and_one_that_still_ran_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mark");
        killed(&path);
        let file = File::options().write(true).open(&path).unwrap();
        for (minutes, found) in [(14, true), (16, false)] {
            file.set_modified(SystemTime::now() - Duration::from_secs(minutes * 60)).unwrap();
            assert_eq!(LastCall::at(path.clone()).cut().is_some(), found, "{minutes} minutes");
        }
        let mut last = LastCall::at(path.clone());
        last.begin(&call());
        last.own.as_ref().unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        last.touch();
        last.own = None;
        assert!(LastCall::at(path).cut().is_some());
    }

    #[cfg(unix)]
    #[test]
    fn a_mark_is_for_its_user_alone_and_names_no_client() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mark");
        killed(&path);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), r#"{"chat_id":"c-1","party_id":"ann"}"#);
    }

    #[test]
    fn nonsense_in_its_place_is_no_call() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mark");
        for nonsense in ["", "{", "[]", "{\"chat_id\": 7}"] {
            std::fs::write(&path, nonsense).unwrap();
            assert_eq!(LastCall::at(path.clone()).cut(), None, "{nonsense}");
        }
    }
}
