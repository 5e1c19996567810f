//! The table of shared files: the newest ones, within a number and a size.

use super::auth::ClientKey;
use bytes::Bytes;
use std::collections::{HashMap, VecDeque};

/// A file that somebody shared.
#[derive(Debug, Clone)]
pub(super) struct StoredFile {
    /// The client it was shared by or with: nobody else may read it.
    pub client: ClientKey,
    pub name: String,
    pub content_type: String,
    pub bytes: Bytes,
}

/// Keeps the newest files; the oldest go first.
#[derive(Debug)]
pub(super) struct Files {
    by_id: HashMap<String, StoredFile>,
    order: VecDeque<String>,
    bytes: u64,
    max_files: usize,
    max_bytes: u64,
}

impl Files {
    /// Files that a server keeps.
    pub const MAX_FILES: usize = 1000;
    /// Bytes kept in memory: a bound of the simulator's own, so that many large files do not fill the machine.
    pub const MAX_BYTES: u64 = 512 * 1024 * 1024;

    pub fn new(max_files: usize, max_bytes: u64) -> Self {
        Self { by_id: HashMap::new(), order: VecDeque::new(), bytes: 0, max_files, max_bytes }
    }

    /// Keeps a file under an id, and drops the oldest ones where there are too many.
    pub fn insert(&mut self, id: String, file: StoredFile) {
        self.bytes += file.bytes.len() as u64;
        self.order.push_back(id.clone());
        self.by_id.insert(id, file);
        while self.order.len() > 1 && (self.order.len() > self.max_files || self.bytes > self.max_bytes) {
            if let Some(oldest) = self.order.pop_front().and_then(|id| self.by_id.remove(&id)) {
                self.bytes -= oldest.bytes.len() as u64;
            }
        }
    }

    /// The file, for who may see everything.
    pub fn find(&self, id: &str) -> Option<&StoredFile> {
        self.by_id.get(id)
    }

    /// The file, when this client may read it.
    pub fn get(&self, id: &str, client: &ClientKey) -> Option<&StoredFile> {
        self.by_id.get(id).filter(|file| file.client == *client)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(owner: &str, size: usize) -> StoredFile {
        StoredFile {
            client: ClientKey(owner.into()),
            name: "a".into(),
            content_type: "text/plain".into(),
            bytes: vec![0; size].into(),
        }
    }

    #[test]
    fn the_oldest_file_goes_when_there_are_too_many() {
        let mut files = Files::new(2, 1000);
        for id in ["1", "2", "3"] {
            files.insert(id.into(), file("me", 1));
        }
        let me = ClientKey("me".into());
        assert!(files.get("1", &me).is_none());
        assert!(files.get("2", &me).is_some() && files.get("3", &me).is_some());
    }

    #[test]
    fn the_oldest_files_go_when_they_are_too_large() {
        let mut files = Files::new(10, 100);
        files.insert("1".into(), file("me", 60));
        files.insert("2".into(), file("me", 60));
        files.insert("3".into(), file("me", 30));
        let me = ClientKey("me".into());
        assert!(files.get("1", &me).is_none());
        assert!(files.get("2", &me).is_some() && files.get("3", &me).is_some());
    }

    #[test]
    fn a_file_is_for_its_client_only() {
        let mut files = Files::new(2, 100);
        files.insert("1".into(), file("me", 1));
        assert!(files.get("1", &ClientKey("you".into())).is_none());
    }
}
