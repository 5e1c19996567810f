//! Files on their way: uploads and downloads in pieces, bounded, and never left half-written.

use super::error::{ApiError, Operation};
use super::filename;
use super::transport::Transport;
use super::types::UploadedFile;
use bytes::Bytes;
use futures::StreamExt;
use reqwest::header::{CONTENT_DISPOSITION, CONTENT_TYPE, HeaderMap};
use reqwest::multipart::{Form, Part};
use reqwest::{Body, Method, Response};
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_util::io::ReaderStream;

/// The server takes files up to this size.
pub const MAX_UPLOAD_BYTES: u64 = 25 * 1024 * 1024;

impl Transport {
    pub(super) async fn upload(
        &self,
        path: &Path,
        mut progress: impl FnMut(u64, u64) + Send + 'static,
    ) -> Result<UploadedFile, ApiError> {
        let operation = Operation::UploadFile;
        let unreadable = |source| ApiError::File { action: "read", path: path.to_owned(), source };
        let file = tokio::fs::File::open(path).await.map_err(unreadable)?;
        let metadata = file.metadata().await.map_err(unreadable)?;
        if !metadata.is_file() {
            return Err(unreadable(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file")));
        }
        let total = metadata.len();
        if total > MAX_UPLOAD_BYTES {
            let what = format!("{} ({total} bytes)", path.display());
            return Err(ApiError::TooLarge { operation, what, limit: MAX_UPLOAD_BYTES });
        }

        let moved = Arc::new(AtomicU64::new(0));
        let counter = moved.clone();
        // A file that grows meanwhile is sent as long as it was.
        let pieces = ReaderStream::with_capacity(file.take(total), 64 * 1024).map(move |piece| {
            let piece: io::Result<Bytes> = piece;
            if let Ok(bytes) = &piece {
                let done = counter.fetch_add(bytes.len() as u64, Ordering::Relaxed) + bytes.len() as u64;
                progress(done, total);
            }
            piece
        });
        let name = path.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_else(|| "file".into());
        let kind = mime_guess::from_path(path).first_or_octet_stream();
        let part = Part::stream_with_length(Body::wrap_stream(pieces), total)
            .file_name(name)
            .mime_str(kind.essence_str())
            .map_err(|e| self.failed(operation, e, self.config.read_timeout))?;
        let request =
            self.request(operation, Method::POST, &["files"], None)?.multipart(Form::new().part("file", part));

        let after = self.config.read_timeout;
        let answer: UploadedFile = self
            .unless_stalled(operation, &moved, async {
                self.json(operation, self.send(operation, request, after).await?, after).await
            })
            .await?;
        if answer.file_id.is_empty() {
            let what = "it holds no file_id".to_owned();
            return Err(ApiError::Unexpected { operation, host: self.host().to_owned(), what });
        }
        Ok(answer)
    }

    /// Saves the body of a GET in `dir` under a safe name.
    #[allow(clippy::too_many_arguments)] // one caller each for files and photos; a struct would only repeat the names
    pub(super) async fn download(
        &self,
        operation: Operation,
        path: &[&str],
        dir: &Path,
        name_hint: Option<&str>,
        fallback: &str,
        max_bytes: u64,
        mut progress: impl FnMut(u64, Option<u64>) + Send,
    ) -> Result<PathBuf, ApiError> {
        let after = self.config.read_timeout;
        let too_large = || ApiError::TooLarge { operation, what: "the file".into(), limit: max_bytes };
        let request = self.request(operation, Method::GET, path, None)?;
        let mut response = self.in_time(operation, after, self.send(operation, request, after)).await??;
        let total = response.content_length();
        if total.is_some_and(|n| n > max_bytes) {
            return Err(too_large());
        }
        let name = file_name(&response, name_hint, fallback);

        let unwritable = |source| ApiError::File { action: "write to", path: dir.to_owned(), source };
        // Removed when dropped, so also when this future is.
        let temporary = tempfile::Builder::new().prefix(".chatphone-").suffix(".part").tempfile_in(dir);
        let temporary = temporary.map_err(unwritable)?;
        let mut file = tokio::fs::File::from_std(temporary.as_file().try_clone().map_err(unwritable)?);
        let mut done = 0u64;
        loop {
            let piece = self.in_time(operation, after, response.chunk()).await?;
            let Some(piece) = piece.map_err(|e| self.failed(operation, e, after))? else { break };
            done += piece.len() as u64;
            if done > max_bytes {
                return Err(too_large());
            }
            file.write_all(&piece).await.map_err(unwritable)?;
            progress(done, total);
        }
        file.flush().await.map_err(unwritable)?;
        drop(file);
        filename::keep(temporary, dir, &name).map_err(unwritable)
    }

    /// Runs a transfer to its end unless nothing moves for the read time-out.
    async fn unless_stalled<T>(
        &self,
        operation: Operation,
        moved: &AtomicU64,
        transfer: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<T, ApiError> {
        let mut transfer = std::pin::pin!(transfer);
        let mut before = moved.load(Ordering::Relaxed);
        loop {
            match self.in_time(operation, self.config.read_timeout, &mut transfer).await {
                Ok(answer) => return answer,
                Err(stalled) => {
                    let now = moved.load(Ordering::Relaxed);
                    if now == before {
                        return Err(stalled);
                    }
                    before = now;
                }
            }
        }
    }

    async fn in_time<T>(
        &self,
        operation: Operation,
        after: Duration,
        future: impl Future<Output = T>,
    ) -> Result<T, ApiError> {
        let late = |_| ApiError::Timeout { operation, host: self.host().to_owned(), after, connecting: false };
        tokio::time::timeout(after, future).await.map_err(late)
    }
}

/// The safe name for a download: the hint, else what the answer says, else `fallback`; with an extension that fits the
/// content type where there is none.
fn file_name(response: &Response, hint: Option<&str>, fallback: &str) -> String {
    let headers = response.headers();
    let wanted = hint.map(str::to_owned).or_else(|| disposition_name(headers));
    let name = filename::safe(wanted.as_deref().unwrap_or_default(), fallback);
    match extension(headers) {
        Some(extension) if Path::new(&name).extension().is_none() => format!("{name}.{extension}"),
        _ => name,
    }
}

/// The `filename*` or `filename` of a Content-Disposition (RFC 6266, 4.1).
fn disposition_name(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_DISPOSITION)?;
    let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
    let parameter = |name: &str| {
        value.split(';').skip(1).find_map(|part| {
            let (key, text) = part.split_once('=')?;
            key.trim().eq_ignore_ascii_case(name).then(|| text.trim().trim_matches('"').to_owned())
        })
    };
    let extended = parameter("filename*").and_then(|text| {
        let encoded = text.rsplit_once('\'')?.1.to_owned();
        Some(percent_encoding::percent_decode_str(&encoded).decode_utf8_lossy().into_owned())
    });
    extended.or_else(|| parameter("filename")).filter(|name| !name.is_empty())
}

/// The usual extension of what profile photos and chat files mostly are.
fn extension(headers: &HeaderMap) -> Option<&'static str> {
    let kind = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(match kind.split(';').next()?.trim().to_ascii_lowercase().as_str() {
        "image/jpeg" | "image/jpg" => "jpg",
        "image/png" => "png",
        "image/gif" => "gif",
        "image/webp" => "webp",
        "image/bmp" => "bmp",
        "image/svg+xml" => "svg",
        "application/pdf" => "pdf",
        "text/plain" => "txt",
        _ => return None,
    })
}
