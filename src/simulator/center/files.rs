//! Files that are shared, and photos of the agents.

use super::super::auth::ClientKey;
use super::super::error::ApiError;
use super::super::files::StoredFile;
use super::Center;
use crate::api::ErrorCode;

impl Center {
    /// Upload File: keeps it and gives its id.
    pub fn add_file(&mut self, file: StoredFile) -> String {
        let id = uuid::Uuid::new_v4().to_string();
        self.files.insert(id.clone(), file);
        id
    }

    /// Get File.
    pub fn file(&mut self, client: &ClientKey, chat_id: &str, file_id: &str) -> Result<StoredFile, ApiError> {
        self.session(client, chat_id)?;
        self.files.get(file_id, client).cloned().ok_or(ApiError::new(ErrorCode::FileNotFound))
    }

    /// Get Agent Profile Photo (PNG).
    pub fn photo(&mut self, client: &ClientKey, chat_id: &str, party_id: &str) -> Result<&'static [u8], ApiError> {
        let agent = self.session(client, chat_id)?.agent.as_ref().filter(|agent| agent.party_id == party_id);
        agent.map(|agent| agent.photo).ok_or(ApiError::because(ErrorCode::FileNotFound, "no photo of this party"))
    }

    /// The file, whoever shared it.
    pub fn any_file(&self, file_id: &str) -> Option<StoredFile> {
        self.files.find(file_id).cloned()
    }
}
