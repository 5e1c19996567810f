//! The microphone and speaker that a person chose once and for all.

use super::state_dir;
use serde::{Deserialize, Serialize};
use std::io;
use std::path::{Path, PathBuf};

/// Devices by name or id; none: the system's default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ChosenDevices {
    /// The microphone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub microphone: Option<String>,
    /// The speaker.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speaker: Option<String>,
}

impl ChosenDevices {
    /// What was chosen; nothing when there is no such file. A file that cannot be used counts as none, with a warning:
    /// a phone must work without it.
    pub fn load() -> Self {
        let Some(path) = path() else { return Self::default() };
        Self::read(&path).unwrap_or_else(|error| {
            tracing::warn!("the chosen devices in {} cannot be used: {error}", path.display());
            Self::default()
        })
    }

    /// Keeps this choice for later runs.
    ///
    /// # Errors
    /// When there is no place for it, or it cannot be written.
    pub fn save(&self) -> io::Result<PathBuf> {
        let path = path().ok_or_else(|| io::Error::other("there is no home folder"))?;
        self.write(&path)?;
        Ok(path)
    }

    fn read(path: &Path) -> io::Result<Self> {
        match std::fs::read_to_string(path) {
            Ok(text) => toml::from_str(&text).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e.message())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error),
        }
    }

    fn write(&self, path: &Path) -> io::Result<()> {
        let dir = path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(dir)?;
        let text = toml::to_string(self).map_err(io::Error::other)?;
        // Written beside and then moved, so that it is never half there.
        let file = tempfile::NamedTempFile::new_in(dir)?;
        std::fs::write(file.path(), text)?;
        file.persist(path).map(drop).map_err(|e| e.error)
    }
}

fn path() -> Option<PathBuf> {
    Some(state_dir()?.join("devices.toml"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_choice_is_kept_and_nothing_is_chosen_at_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("deep/devices.toml");
        assert_eq!(ChosenDevices::read(&path).unwrap(), ChosenDevices::default());
        let chosen = ChosenDevices { microphone: Some("USB \"Headset\"".into()), speaker: None };
        chosen.write(&path).unwrap();
        assert_eq!(ChosenDevices::read(&path).unwrap(), chosen);
        std::fs::write(&path, "microphone = 7").unwrap();
        assert!(ChosenDevices::read(&path).is_err());
    }
}
