//! Whether the program behind a port is the one that is to be measured.

use std::net::SocketAddr;
use std::time::Duration;

use crate::exchange::{Answer, ask, request};
use crate::failure::{Break, Failure};
use crate::scenario::Scenario;
use crate::stop::Stop;
use crate::target::{Body, Identity};

/// How long the whole answer may take.
const ANSWER_AT_MOST: Duration = Duration::from_secs(2);

/// Asks the server at an address for the file of a scenario, and checks all that its definition says
/// of it. `driver` is what it has said when it was ready.
pub(crate) fn identify(
    identity: &Identity,
    driver: Option<&str>,
    address: SocketAddr,
    scenario: &Scenario,
    content: &[u8],
    stop: &Stop,
) -> Result<(), Break> {
    check_driver(identity, driver)?;
    let request = request(address, &scenario.path());
    let (answer, _) = ask(address, &request, scenario.file_bytes, ANSWER_AT_MOST, stop)?;
    Ok(check_answer(identity, &answer, scenario.expected_status, content)?)
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
    // It was not read then.
    if answer.body_bytes != content.len() as u64 {
        return Err(Failure::OtherBody(other_length(answer.body_bytes, content.len())));
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

fn other_length(found: u64, expected: usize) -> String {
    format!("a body of {found} bytes instead of {expected}")
}

/// Where two bodies differ, if they do.
fn difference(found: &[u8], expected: &[u8]) -> Option<String> {
    if found.len() != expected.len() {
        return Some(other_length(found.len() as u64, expected.len()));
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

    fn right() -> Answer {
        Answer { status: 200, server: "rim/1".into(), body_bytes: 7, body: b"content".to_vec() }
    }

    #[test]
    fn the_right_program_passes() {
        let answer = right();
        assert_eq!(check(Body::File, &answer), "");
        let zeros = Answer { body: vec![0; 7], ..answer };
        assert_eq!(check(Body::Zeros, &zeros), "");
        assert!(check_driver(&identity(Body::File), Some("uring")).is_ok());
    }

    #[test]
    fn others_are_told_apart() {
        let right = right();
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
        let short = of(|answer| answer.body_bytes = 6);
        assert_eq!(short, "answers wrongly: a body of 6 bytes instead of 7");
        let long = of(|answer| answer.body.push(b'x'));
        assert_eq!(long, "answers wrongly: a body of 8 bytes instead of 7");
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
