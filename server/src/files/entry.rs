//! A file as it is served: one version of it, with its answers' heads ready.

use std::ffi::CString;
use std::rc::Rc;
use std::sync::Arc;

use rim_driver::{Content, FileStat, Shared};
use rim_http1::{HeadWriter, Status, Validators, format_date};

use super::mime;

/// Length of an entity tag in bytes, with its quotes. All tags have it.
const ETAG_LEN: usize = 34;

/// One version of a file. Immutable, and shared by all workers.
#[derive(Debug)]
pub(crate) struct Entry {
    /// What tells this version from others.
    version: FileStat,
    /// Where it is, from the root.
    path: CString,
    etag: [u8; ETAG_LEN],
    last_modified: u64,
    /// The head of a 200 answer without `Date` and what is said per connection.
    ok: Vec<u8>,
    /// The same for 304.
    not_modified: Vec<u8>,
    /// The content, if it is kept in memory.
    content: Option<Content>,
}

impl Entry {
    /// Describes the version `version` of the file at `path`; `unix` is the time of day in seconds
    /// since 1970.
    #[must_use]
    pub(crate) fn new(
        path: CString,
        version: FileStat,
        content: Option<Content>,
        unix: u64,
    ) -> Self {
        let etag = etag(&version);
        // "An origin server with a clock MUST NOT generate a Last-Modified date that is later than
        // the server's time of message origination" (9110 section 8.8.2.1).
        let modified = u64::try_from(version.modified_ns.div_euclid(1_000_000_000)).unwrap_or(0);
        let last_modified = modified.min(unix);
        let date = format_date(last_modified);
        let mut ok = Vec::new();
        HeadWriter::new(&mut ok, Status::Ok)
            .field("Server", crate::SERVER.as_bytes())
            .field("Content-Type", mime::content_type(path.as_bytes()).as_bytes())
            .number("Content-Length", version.size)
            .field("ETag", &etag)
            .field("Last-Modified", &date);
        let mut not_modified = Vec::new();
        HeadWriter::new(&mut not_modified, Status::NotModified)
            .field("Server", crate::SERVER.as_bytes())
            .field("ETag", &etag)
            .field("Last-Modified", &date);
        Self { version, path, etag, last_modified, ok, not_modified, content }
    }

    /// What tells this version from others.
    #[must_use]
    pub(crate) fn version(&self) -> &FileStat {
        &self.version
    }

    /// Where the file is, from the root.
    #[must_use]
    pub(crate) fn path(&self) -> &CString {
        &self.path
    }

    /// Size of the content in bytes.
    #[must_use]
    pub(crate) fn size(&self) -> u64 {
        self.version.size
    }

    /// The content, if it is kept in memory.
    #[must_use]
    pub(crate) fn content(&self) -> Option<&Content> {
        self.content.as_ref()
    }

    /// What conditional requests are compared with.
    #[inline]
    #[must_use]
    pub(crate) fn validators(&self) -> Validators<'_> {
        Validators { etag: &self.etag, last_modified: self.last_modified }
    }

    /// The head of the 200 or 304 answer, without `Date` and what is said per connection.
    #[inline]
    #[must_use]
    pub(crate) fn head(&self, status: Status) -> &[u8] {
        if status == Status::NotModified { &self.not_modified } else { &self.ok }
    }

    /// Bytes of memory that it takes up, about.
    pub(super) fn weight(&self) -> u64 {
        let content = self.content.as_ref().map_or(0, |content| content.len());
        (content + self.ok.len() + self.not_modified.len() + size_of::<Self>()) as u64
    }
}

/// One worker's handle on an entry.
#[derive(Debug)]
pub(crate) struct LocalEntry {
    /// The entry.
    pub entry: Arc<Entry>,
    /// Its content, counted without atomics.
    pub content: Option<Shared>,
}

impl LocalEntry {
    /// Takes this worker's one reference to `entry`.
    #[must_use]
    pub(crate) fn new(entry: Arc<Entry>) -> Rc<Self> {
        let content = entry.content().cloned().map(Shared::new);
        Rc::new(Self { entry, content })
    }
}

/// A strong validator: no two versions of a file have the same, because any change of a file's
/// content moves its time of change, and a file is described only when that time has passed.
fn etag(version: &FileStat) -> [u8; ETAG_LEN] {
    let mut hasher = blake3::Hasher::new();
    for part in [version.device, version.inode, version.size] {
        hasher.update(&part.to_le_bytes());
    }
    for part in [version.modified_ns, version.changed_ns] {
        hasher.update(&part.to_le_bytes());
    }
    let mut etag = [b'"'; ETAG_LEN];
    let hex = hasher.finalize().to_hex();
    etag[1..ETAG_LEN - 1].copy_from_slice(&hex.as_bytes()[..ETAG_LEN - 2]);
    etag
}

#[cfg(test)]
mod tests {
    use super::*;
    use rim_driver::FileKind;

    fn version() -> FileStat {
        FileStat {
            kind: FileKind::Regular,
            size: 3,
            device: 1,
            inode: 2,
            modified_ns: 784_111_777_000_000_000,
            changed_ns: 784_111_777_000_000_001,
        }
    }

    #[test]
    fn heads_say_what_the_file_is() {
        let entry = Entry::new(c"a.html".into(), version(), None, u64::MAX);
        let head = String::from_utf8(entry.head(Status::Ok).to_vec()).unwrap();
        let etag = str::from_utf8(entry.validators().etag).unwrap();
        assert_eq!(
            head,
            format!(
                "HTTP/1.1 200 OK\r\nServer: rim\r\nContent-Type: text/html; charset=utf-8\r\n\
                 Content-Length: 3\r\nETag: {etag}\r\n\
                 Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
            )
        );
        let head = String::from_utf8(entry.head(Status::NotModified).to_vec()).unwrap();
        assert!(head.starts_with("HTTP/1.1 304 Not Modified\r\n"));
        assert!(!head.contains("Content-Length"));
        assert!(head.contains(etag));
    }

    #[test]
    fn any_difference_changes_the_tag() {
        let tag = |version: &FileStat| etag(version);
        let base = version();
        for other in [
            FileStat { size: 4, ..base },
            FileStat { device: 2, ..base },
            FileStat { inode: 3, ..base },
            FileStat { modified_ns: base.modified_ns + 1, ..base },
            FileStat { changed_ns: base.changed_ns + 1, ..base },
        ] {
            assert_ne!(tag(&base), tag(&other));
        }
        assert_eq!(tag(&base), tag(&version()));
    }

    #[test]
    fn no_date_is_later_than_now_or_before_1970() {
        let entry = Entry::new(c"a".into(), version(), None, 1000);
        assert_eq!(entry.validators().last_modified, 1000);
        let ancient = FileStat { modified_ns: -5, ..version() };
        let entry = Entry::new(c"a".into(), ancient, None, 1000);
        assert_eq!(entry.validators().last_modified, 0);
    }
}
