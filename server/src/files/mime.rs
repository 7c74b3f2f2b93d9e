//! Content types by the end of a file's name.

/// Sent for what is not known: browsers then save it instead of guessing.
const UNKNOWN: &str = "application/octet-stream";

/// The content type for a path; text says that it is UTF-8, as nearly all of it is.
pub(super) fn content_type(path: &[u8]) -> String {
    let name = String::from_utf8_lossy(path);
    let Some(guess) = mime_guess::from_path(&*name).first() else { return UNKNOWN.into() };
    let essence = guess.essence_str();
    let is_text = guess.type_() == "text"
        || matches!(essence, "application/javascript" | "application/json" | "image/svg+xml");
    if is_text { format!("{essence}; charset=utf-8") } else { essence.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_follow_the_extension() {
        for (path, expected) in [
            ("index.html", "text/html; charset=utf-8"),
            ("a/b.CSS", "text/css; charset=utf-8"),
            ("app.js", "text/javascript; charset=utf-8"),
            ("data.json", "application/json; charset=utf-8"),
            ("a.svg", "image/svg+xml; charset=utf-8"),
            ("a.png", "image/png"),
            ("a.wasm", "application/wasm"),
            ("a.woff2", "font/woff2"),
            ("README", UNKNOWN),
            ("a.b/c", UNKNOWN),
            (".html", UNKNOWN),
            ("", UNKNOWN),
        ] {
            assert_eq!(content_type(path.as_bytes()), expected, "{path}");
        }
    }
}
