//! What is right, as seen from outside: answers read by a reader of their own.

use super::client::{Asked, Client, Ended, Expected, Script};
use super::planted::Planted;
use super::site::Site;
use crate::worker::Worker;

/// An answer as it was received.
pub(super) struct Answer<'a> {
    pub(super) status: u16,
    pub(super) head: &'a str,
    pub(super) body: &'a [u8],
    /// What the head says of the body's length.
    pub(super) content_length: usize,
    pub(super) is_whole: bool,
}

/// Takes the next answer off `bytes`; none if its head is not whole.
pub(super) fn take_answer<'a>(bytes: &mut &'a [u8], has_no_body: bool) -> Option<Answer<'a>> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = str::from_utf8(&bytes[..end]).ok()?;
    let status = head.get(9..12)?.parse().ok()?;
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    let content_length = length.map_or(Some(0), |length| length.parse().ok())?;
    let expected = if has_no_body || status == 304 { 0 } else { content_length };
    let rest = &bytes[end..];
    let body = &rest[..expected.min(rest.len())];
    *bytes = &rest[body.len()..];
    Some(Answer { status, head, body, content_length, is_whole: body.len() == expected })
}

/// What is wrong with what a client has received.
pub(super) fn client(client: &Client, site: &Site) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut rest = &client.received[..];
    let mut whole = 0;
    for asked in &client.script.asked {
        let Some(answer) = take_answer(&mut rest, asked.head_only) else { break };
        complaints.extend(answer_is_wrong(asked, &answer, site));
        if !answer.is_whole {
            break;
        }
        whole += 1;
        // The server may end a connection early, but says so.
        if answer.head.contains("\r\nConnection: close\r\n") {
            break;
        }
    }
    if whole > 0 && whole == client.script.asked.len() && !rest.is_empty() {
        complaints.push(format!("{} bytes too many", rest.len()));
    }
    complaints
}

fn answer_is_wrong(asked: &Asked, answer: &Answer<'_>, site: &Site) -> Option<String> {
    let status = answer.status;
    // The server may be unable to, or told the client that it was too slow.
    if matches!(status, 503 | 500 | 408) {
        return None;
    }
    let is_right = match &asked.expected {
        Expected::Status(expected) => status == *expected,
        Expected::File(path) => match status {
            404 => site.has_been_absent(path),
            200 if asked.head_only => {
                answer.body.is_empty() && site.has_begun(path, &[], answer.content_length)
            }
            200 if answer.is_whole => site.has_been(path, answer.body),
            // Aborted. If the file has changed, what was sent may be of several versions.
            200 => !site.is_calm(path) || site.has_begun(path, answer.body, answer.content_length),
            _ => false,
        },
    };
    let request = asked.bytes[..asked.bytes.len().min(40)].escape_ascii();
    (!is_right).then(|| format!("{status} with {} bytes for {request}", answer.body.len()))
}

/// Whether a client that behaved, in a run in which nothing failed, was served in full.
pub(super) fn is_served(client: &Client, site: &Site) -> Result<(), String> {
    let Script { asked, .. } = &client.script;
    let is_calm = asked.iter().all(|asked| match &asked.expected {
        Expected::File(path) => site.is_calm(path),
        Expected::Status(_) => true,
    });
    let answered = client.answered;
    if client.script.is_well_behaved()
        && is_calm
        && answered < asked.len()
        && client.ended != Some(Ended::Refused)
    {
        let begin = |bytes: &[u8]| bytes[..bytes.len().min(60)].escape_ascii().to_string();
        return Err(format!(
            "{:?}: {answered} of {} answers, ended {:?}; first request {}; received {} bytes, {}",
            client.script.manner,
            asked.len(),
            client.ended,
            begin(&asked[0].bytes),
            client.received.len(),
            begin(&client.received),
        ));
    }
    Ok(())
}

/// What a worker that has drained has not given back.
pub(super) fn leftovers(worker: &Worker<Planted>) -> Vec<String> {
    let mut complaints = Vec::new();
    let sim = worker.driver.sim();
    // The root stays open.
    let leaks = sim.leaks();
    let roots = leaks.iter().filter(|leak| leak.starts_with("file ")).count().min(1);
    if leaks.len() > roots {
        complaints.push(format!("not given back: {}", leaks.join(", ")));
    }
    if worker.connections.len() > 0 {
        complaints.push(format!("{} connections are left", worker.connections.len()));
    }
    let counters = &worker.counters;
    let (accepted, closed) = (counters.accepted, counters.closed.iter().sum::<u64>());
    if accepted != closed {
        complaints.push(format!("{accepted} connections accepted, {closed} closed for a reason"));
    }
    if counters.panics > 0 {
        complaints.push(format!("{} panics", counters.panics));
    }
    if counters.stale > 0 {
        complaints.push(format!("{} completions for nobody", counters.stale));
    }
    complaints
}
