//! What is requested, as the user wrote it.

use std::net::Ipv6Addr;
use std::str::FromStr;

use http::Uri;
use http::uri::Scheme;
use thiserror::Error;

/// The port of http:// URLs that name none.
const PORT: u16 = 80;

/// An http:// URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// As it was given.
    pub text: String,
    /// A name or an address; an IPv6 address without its brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// What the Host field says.
    pub authority: String,
    /// Path and query, as the request line has them.
    pub target: String,
}

/// Why something is not a URL that can be requested.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UrlError {
    /// It cannot be read.
    #[error("{0}; write it as http://HOST[:PORT]/PATH")]
    Malformed(String),
    /// There is no scheme, or none that is known.
    #[error("a URL has to begin with http://")]
    Scheme,
    /// TLS.
    #[error("https:// is not supported yet; use an http:// URL")]
    Tls,
    /// Name and password.
    #[error("a user name in the URL is not supported; leave out what stands before the @")]
    User,
    /// Not a port.
    #[error("the port has to be a number from 1 to 65535")]
    Port,
    /// Brackets around something else.
    #[error("there is no IPv6 address between the brackets")]
    Address,
}

impl FromStr for Url {
    type Err = UrlError;

    fn from_str(text: &str) -> Result<Self, UrlError> {
        let uri: Uri = text
            .parse()
            .map_err(|error: http::uri::InvalidUri| UrlError::Malformed(error.to_string()))?;
        match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => {}
            Some(scheme) if *scheme == Scheme::HTTPS => return Err(UrlError::Tls),
            _ => return Err(UrlError::Scheme),
        }
        let authority = uri.authority().ok_or(UrlError::Scheme)?;
        if authority.as_str().contains('@') {
            return Err(UrlError::User);
        }
        let port = match authority.as_str().strip_prefix(authority.host()) {
            Some("") => PORT,
            _ => authority.port_u16().filter(|port| *port != 0).ok_or(UrlError::Port)?,
        };
        let mut host = authority.host();
        if let Some(address) = host.strip_prefix('[') {
            host = address.trim_end_matches(']');
            host.parse::<Ipv6Addr>().map_err(|_| UrlError::Address)?;
        }
        let target = uri.path_and_query().map_or("/", |target| target.as_str());
        Ok(Self {
            text: text.to_owned(),
            host: host.to_owned(),
            port,
            authority: authority.to_string(),
            // A query may follow the authority directly, but not the method.
            target: match target.strip_prefix('?') {
                Some(query) => format!("/?{query}"),
                None => target.to_owned(),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_come_apart() {
        for (text, host, port, authority, target) in [
            ("http://localhost", "localhost", 80, "localhost", "/"),
            ("http://127.0.0.1:8080/a/b?c=d", "127.0.0.1", 8080, "127.0.0.1:8080", "/a/b?c=d"),
            ("http://[::1]/", "::1", 80, "[::1]", "/"),
            ("http://[::1]:9/x", "::1", 9, "[::1]:9", "/x"),
            ("http://example.org?q", "example.org", 80, "example.org", "/?q"),
            ("HTTP://example.org/../x%20y#part", "example.org", 80, "example.org", "/../x%20y"),
        ] {
            let url: Url = text.parse().unwrap();
            assert_eq!(url.text, text);
            assert_eq!((url.host.as_str(), url.port), (host, port), "{text}");
            assert_eq!((url.authority.as_str(), url.target.as_str()), (authority, target));
        }
    }

    #[test]
    fn what_cannot_be_requested_is_refused() {
        for (text, error) in [
            ("https://localhost/", UrlError::Tls),
            ("ftp://localhost/", UrlError::Scheme),
            ("localhost:8080", UrlError::Scheme),
            ("/index.html", UrlError::Scheme),
            ("http://user@localhost/", UrlError::User),
            ("http://localhost:0/", UrlError::Port),
            ("http://localhost:65536/", UrlError::Port),
            ("http://localhost:/", UrlError::Port),
            ("http://[1.2.3.4]/", UrlError::Address),
        ] {
            assert_eq!(text.parse::<Url>(), Err(error), "{text}");
        }
        for text in ["", "http://", "http://a b/", "http:///x", "http://[::1/", "http://ä/"] {
            let error = text.parse::<Url>().unwrap_err();
            assert!(matches!(error, UrlError::Malformed(_) | UrlError::Scheme), "{text}: {error}");
        }
    }
}
