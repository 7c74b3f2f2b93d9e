//! Requests byte for byte, and the answer that each has to get: however it is cut on its way, and on
//! every driver the same bytes.

mod content;
mod field_lines;
mod request_lines;
mod targets;

use crate::client::{Answer, Client, get, parse_all};
use crate::drivers::drivers;
use crate::server::Server;
use crate::site::Site;

/// A request, and what comes of it.
struct Case {
    request: Vec<u8>,
    status: u16,
    then: Then,
}

/// What becomes of the connection after an answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    /// The next request is answered too.
    GoesOn,
    /// It ends, and whatever else is sent does no harm.
    Ends,
    /// It ends, because the client wants it so. If it sends something else all the same, it may find
    /// the connection reset after the answer.
    EndsAsAsked,
}

fn cases<R: Into<Vec<u8>>>(
    status: u16,
    then: Then,
    requests: impl IntoIterator<Item = R>,
) -> Vec<Case> {
    let case = |request: R| Case { request: request.into(), status, then };
    requests.into_iter().map(case).collect()
}

/// Requests that get this answer, after which the connection goes on.
fn answered<R: Into<Vec<u8>>>(status: u16, requests: impl IntoIterator<Item = R>) -> Vec<Case> {
    cases(status, Then::GoesOn, requests)
}

/// Requests that get this answer, which is the last one.
fn last<R: Into<Vec<u8>>>(status: u16, requests: impl IntoIterator<Item = R>) -> Vec<Case> {
    cases(status, Then::Ends, requests)
}

/// Requests that get this answer, and ask for it to be the last one.
fn last_as_asked<R: Into<Vec<u8>>>(
    status: u16,
    requests: impl IntoIterator<Item = R>,
) -> Vec<Case> {
    cases(status, Then::EndsAsAsked, requests)
}

/// How a request is sent.
#[derive(Clone, Copy, Debug)]
enum Cut {
    Whole,
    InTwo,
    /// Byte by byte, or in so many pieces if it is long.
    Pieces(usize),
}

/// Sends `bytes` on a connection of its own, says that this is all, and reads to the end.
fn exchange(server: &Server, bytes: &[u8], cut: Cut, then: Then) -> Vec<Answer> {
    let mut client = Client::connect(server.address());
    let may_be_reset = then == Then::EndsAsAsked;
    let piece = match cut {
        Cut::Whole => bytes.len(),
        Cut::InTwo => bytes.len().div_ceil(2),
        Cut::Pieces(count) => bytes.len().div_ceil(count),
    };
    for piece in bytes.chunks(piece) {
        match client.try_send(piece) {
            Err(error) if !may_be_reset => panic!("{cut:?}: {error}"),
            _ => {}
        }
    }
    client.finish();
    let mut received = Vec::new();
    match client.try_rest(&mut received) {
        Err(error) if !may_be_reset => panic!("{cut:?}: {error}"),
        _ => parse_all(&received),
    }
}

/// Checks each case: sent with another request behind it, which is answered exactly if the connection
/// goes on.
fn check(cases: &[Case]) {
    let site = Site::usual();
    let servers: Vec<_> = drivers().iter().map(|driver| Server::start(&site, driver, "")).collect();
    for Case { request, status, then } in cases {
        let goes_on = *then == Then::GoesOn;
        let text = String::from_utf8_lossy(request);
        let bytes = [request, get("/dir/sub/file").as_bytes()].concat();
        let expected: &[u16] = if goes_on { &[*status, 200] } else { &[*status] };
        let mut all = Vec::new();
        for server in &servers {
            for cut in [Cut::Whole, Cut::InTwo, Cut::Pieces(256)] {
                let answers = exchange(server, &bytes, cut, *then);
                let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
                assert_eq!(statuses, expected, "{text:?} {cut:?} {}", server.ready());
                assert_ne!(answers[0].is_last(), goes_on, "{text:?} {}", answers[0].head);
                assert!(!goes_on || answers[1].text() == "deep", "{text:?}");
                let timeless = |answer: &Answer| (answer.timeless(), answer.content.clone());
                all.push(answers.iter().map(timeless).collect::<Vec<_>>());
            }
        }
        assert!(all.iter().all(|answers| *answers == all[0]), "{text:?}\n{all:#?}");
    }
}
