//! The id of this installation.

use std::io::{self, Write};
use std::path::Path;

/// The id of this installation: made once, kept in `dir` for this user alone. Without a place to keep it, it is good
/// for one run.
pub(super) fn own(dir: Option<&Path>) -> String {
    let Some(dir) = dir else {
        tracing::warn!("there is no home folder to keep a client id in: this run gets one of its own");
        return fresh_id();
    };
    let path = dir.join("client-id");
    kept_id(&path).unwrap_or_else(|e| {
        tracing::warn!("cannot keep a client id in {}: {e}; this run gets one of its own", path.display());
        fresh_id()
    })
}

fn fresh_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// Reads the id from its file, or makes both.
fn kept_id(path: &Path) -> io::Result<String> {
    let read = || -> io::Result<Option<String>> {
        match std::fs::read_to_string(path) {
            Ok(text) => Ok(Some(text.trim().to_owned()).filter(|id| !id.is_empty())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    };
    if let Some(id) = read()? {
        return Ok(id);
    }
    let dir = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(dir)?;
    // Whoever knows the id can read the session. Temporary files have mode 0600, and keep it.
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    let id = fresh_id();
    writeln!(file, "{id}")?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(id),
        // Another process was faster: its id is the one. Unless the file is empty, and of no use to anybody.
        Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => match read()? {
            Some(id) => Ok(id),
            None => e.file.persist(path).map(|_| id).map_err(|e| e.error),
        },
        Err(e) => Err(e.error),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_client_id_is_made_once_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("a/b");
        let id = own(Some(&state));
        assert_eq!(uuid::Uuid::parse_str(&id).unwrap().get_version_num(), 4);
        assert_eq!(own(Some(&state)), id);
        assert_eq!(std::fs::read_dir(&state).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn a_kept_client_id_is_for_its_user_alone() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        own(Some(dir.path()));
        let mode = std::fs::metadata(dir.path().join("client-id")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn an_empty_id_file_is_filled() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("client-id"), "\n").unwrap();
        let id = own(Some(dir.path()));
        assert_eq!(own(Some(dir.path())), id);
    }

    #[test]
    fn without_a_place_to_keep_it_an_id_is_made_for_the_run() {
        let dir = tempfile::tempdir().unwrap();
        let blocked = dir.path().join("file");
        std::fs::write(&blocked, "").unwrap();
        assert!(!own(Some(&blocked)).is_empty());
        assert!(!own(None).is_empty());
    }
}
