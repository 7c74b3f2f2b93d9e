//! Whether the program behind a port is the one that is to be measured.

use std::net::SocketAddr;
use std::time::Duration;

use crate::exchange::{Answer, ask, connect, request};
use crate::failure::Failure;
use crate::scenario::Scenario;
use crate::target::{Body, Identity};

/// How long an answer may take.
const ANSWER_AT_MOST: Duration = Duration::from_secs(2);

/// Asks the server at an address for the file of a scenario, and checks all that its definition says
/// of it. `driver` is what it has said when it was ready.
pub(crate) fn identify(
    identity: &Identity,
    driver: Option<&str>,
    address: SocketAddr,
    scenario: &Scenario,
    content: &[u8],
) -> Result<(), Failure> {
    check_driver(identity, driver)?;
    let mut stream = connect(address, ANSWER_AT_MOST).map_err(Failure::NoAnswer)?;
    let request = request(address, &scenario.path());
    let answer = ask(&mut stream, &request).map_err(Failure::NoAnswer)?;
    check_answer(identity, &answer, scenario.expected_status, content)
}

fn check_driver(identity: &Identity, driver: Option<&str>) -> Result<(), Failure> {
    match &identity.driver {
        Some(expected) if driver != Some(expected) => Err(Failure::OtherDriver {
            expected: expected.clone(),
            found: driver.unwrap_or("none that it tells").into(),
        }),
        _ => Ok(()),
    }
}

/// Who answers comes before what: another program's mistakes are not the target's.
fn check_answer(
    identity: &Identity,
    answer: &Answer,
    status: u16,
    content: &[u8],
) -> Result<(), Failure> {
    let (expected, found) = (identity.server.clone(), answer.server.clone());
    if !found.starts_with(&expected) {
        return Err(Failure::OtherServer { expected, found });
    }
    if answer.status != status {
        return Err(Failure::OtherStatus { expected: status, found: answer.status });
    }
    let zeros;
    let expected = match identity.body {
        Body::File => content,
        Body::Zeros => {
            zeros = vec![0; content.len()];
            &zeros
        }
    };
    difference(&answer.body, expected).map_or(Ok(()), |told| Err(Failure::OtherBody(told)))
}

/// Where two bodies differ, if they do.
fn difference(found: &[u8], expected: &[u8]) -> Option<String> {
    if found.len() != expected.len() {
        let (found, expected) = (found.len(), expected.len());
        return Some(format!("a body of {found} bytes instead of {expected}"));
    }
    let at = found.iter().zip(expected).position(|(found, expected)| found != expected)?;
    Some(format!("its body differs from the file at byte {at}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(body: Body) -> Identity {
        Identity { driver: Some("uring".into()), server: "rim".into(), body }
    }

    fn check(body: Body, answer: &Answer) -> String {
        let checked = check_answer(&identity(body), answer, 200, b"content");
        checked.err().map_or(String::new(), |failure| failure.to_string())
    }

    #[test]
    fn the_right_program_passes() {
        let answer = Answer { status: 200, server: "rim/1".into(), body: b"content".to_vec() };
        assert_eq!(check(Body::File, &answer), "");
        let zeros = Answer { body: vec![0; 7], ..answer };
        assert_eq!(check(Body::Zeros, &zeros), "");
        assert!(check_driver(&identity(Body::File), Some("uring")).is_ok());
    }

    #[test]
    fn others_are_told_apart() {
        let right = Answer { status: 200, server: "rim".into(), body: b"content".to_vec() };
        let of = |change: fn(&mut Answer)| {
            let mut answer = right.clone();
            change(&mut answer);
            check(Body::File, &answer)
        };
        assert_eq!(
            of(|answer| answer.server = "nginx/1".into()),
            "is another program: its Server field is \"nginx/1\" instead of \"rim\""
        );
        assert_eq!(of(|answer| answer.status = 404), "answers wrongly: status 404 instead of 200");
        let short = of(|answer| answer.body.truncate(6));
        assert_eq!(short, "answers wrongly: a body of 6 bytes instead of 7");
        let other = of(|answer| answer.body[3] = b'x');
        assert_eq!(other, "answers wrongly: its body differs from the file at byte 3");
        assert!(check(Body::Zeros, &right).contains("at byte 0"));
    }

    #[test]
    fn another_driver_is_not_accepted() {
        for (found, says) in
            [(Some("epoll"), "epoll instead of uring"), (None, "none that it tells")]
        {
            let error = check_driver(&identity(Body::File), found).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
