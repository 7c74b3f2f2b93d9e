use super::*;

/// What a reader makes of a whole connection: the answer and where it ended, or the fault.
type Read = Result<(u16, bool, usize), Fault>;

/// Feeds the pieces, then the end of the connection.
fn read_pieces<'a>(method: Method, pieces: impl IntoIterator<Item = &'a [u8]>) -> Read {
    let mut reader = ResponseReader::default();
    reader.expect(method);
    let mut before = 0;
    for piece in pieces {
        if let Progress::Complete { taken, answer } = reader.read(piece)? {
            return Ok((answer.status, answer.stays_open, before + taken));
        }
        before += piece.len();
    }
    let answer = reader.end()?;
    Ok((answer.status, answer.stays_open, before))
}

/// Reads `bytes` in one piece, byte by byte, and cut in two at every place.
fn read_every_way(method: Method, bytes: &[u8]) -> Read {
    let whole = read_pieces(method, [bytes]);
    let singly = read_pieces(method, bytes.chunks(1));
    assert_eq!(singly, whole, "byte by byte: {}", bytes.escape_ascii());
    for cut in 0..=bytes.len() {
        let (first, second) = bytes.split_at(cut);
        let halves = read_pieces(method, [first, second]);
        assert_eq!(halves, whole, "cut at {cut}: {}", bytes.escape_ascii());
    }
    whole
}

/// Where the response ends if `|` marks it, and the bytes without the mark.
fn unmark(marked: &str) -> (usize, Vec<u8>) {
    let end = marked.find('|').unwrap_or(marked.len());
    (end, marked.replacen('|', "", 1).into_bytes())
}

#[test]
fn whole_responses_end_where_they_should() {
    for (marked, status, stays_open) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc|", 200, true),
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc|more", 200, true),
        ("HTTP/1.1 200 \r\ncontent-length:0\r\n\r\n|", 200, true),
        ("HTTP/1.1 200\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx|", 200, true),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: Close\r\n\r\n|", 404, false),
        ("HTTP/1.1 200 OK\r\nConnection: x, close\r\nContent-Length: 0\r\n\r\n|", 200, false),
        ("HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx|", 200, false),
        ("HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\nx|", 200, true),
        ("HTTP/1.1 204 No Content\r\n\r\n|HTTP/1.1", 204, true),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n|", 304, true),
        ("HTTP/1.1 200 OK\r\n\r\nuntil the end|", 200, false),
        ("HTTP/1.1 200 OK\r\n\r\n|", 200, false),
        (
            "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n|",
            200,
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n|HTTP",
            200,
            true,
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n0a;x=\"y\"\r\n0123456789\r\n\
            1 \r\n\n\r\n000\r\nExpires: never\r\n\r\n|",
            200,
            true,
        ),
    ] {
        let (end, bytes) = unmark(marked);
        let read = read_every_way(Method::Get, &bytes);
        assert_eq!(read, Ok((status, stays_open, end)), "{marked:?}");
    }
}

#[test]
fn the_answer_to_head_has_no_body() {
    for head in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n|",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n|5",
        "HTTP/1.1 200 OK\r\n\r\n|",
    ] {
        let (end, bytes) = unmark(head);
        assert_eq!(read_every_way(Method::Head, &bytes), Ok((200, true, end)));
    }
}

#[test]
fn what_ends_too_early_is_told_by_where() {
    for (bytes, fault) in [
        ("", Fault::ClosedEarly),
        ("HTT", Fault::ClosedEarly),
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r", Fault::ClosedEarly),
        ("HTTP/1.1 100 Continue\r\n\r\n", Fault::ClosedEarly),
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", Fault::ShortBody),
        ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nab", Fault::ShortBody),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", Fault::ShortBody),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
            Fault::ShortBody,
        ),
    ] {
        assert_eq!(read_every_way(Method::Get, bytes.as_bytes()), Err(fault), "{bytes:?}");
    }
}

#[test]
fn what_is_not_http_is_told_at_its_first_wrong_byte() {
    for bytes in ["\r\n", "x", "HTTP/2 200\r\n", "HTTP/1,1 200 OK\r\n\r\n", "SSH-2.0-x\r\n"] {
        let read = read_every_way(Method::Get, bytes.as_bytes());
        assert_eq!(read, Err(Fault::NotHttp), "{bytes:?}");
    }
}

#[test]
fn malformed_heads_are_refused() {
    for head in [
        "HTTP/1.2 200 OK\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/1.1 600 OK\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\n: no name\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length : 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    ] {
        let read = read_every_way(Method::Get, head.as_bytes());
        assert_eq!(read, Err(Fault::Malformed), "{head:?}");
    }
}

#[test]
fn malformed_chunks_are_refused() {
    for body in [
        "\r\n",
        "x\r\n",
        "-1\r\n",
        ";x\r\n",
        "3\nabc\r\n0\r\n\r\n",
        "3;x\nabc\r\n0\r\n\r\n",
        "3\rabc",
        "2\r\nabc\r\n0\r\n\r\n",
        "4\r\nabc\r\n0\r\n\r\n",
        "3\r\nabc\n",
        "3\r\nabc\r0",
        "10000000000000000\r\n",
        "0\r\nno colon\r\n\r\n",
        "0\r\n\n",
    ] {
        let response = format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        let read = read_every_way(Method::Get, response.as_bytes());
        assert_eq!(read, Err(Fault::Malformed), "{body:?}");
    }
}

#[test]
fn a_head_without_end_is_given_up() {
    let mut endless_line = b"HTTP/1.1 200 OK\r\nA: ".to_vec();
    endless_line.resize(20_000, b'a');
    let mut endless_head = b"HTTP/1.1 200 OK\r\n".to_vec();
    endless_head.extend(b"A: b\r\n".repeat(20_000));
    for bytes in [endless_line, endless_head] {
        for piece in [bytes.len(), 1000, 1] {
            let read = read_pieces(Method::Get, bytes.chunks(piece));
            assert_eq!(read, Err(Fault::Malformed));
        }
    }
}

#[test]
fn one_reader_reads_one_response_after_another() {
    let mut reader = ResponseReader::default();
    for length in 0..5_usize {
        let body = "x".repeat(length);
        let response = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
        reader.expect(Method::Get);
        // The first piece leaves something behind that the next response must not see.
        let (first, second) = response.as_bytes().split_at(7 + length);
        assert_eq!(reader.read(first), Ok(Progress::Partial));
        let answer = Answer { status: 200, stays_open: true };
        let taken = second.len();
        assert_eq!(reader.read(second), Ok(Progress::Complete { taken, answer }));
    }
}

#[test]
fn no_bytes_make_it_panic() {
    let alphabet = b"HTTP/1.10 \r\n:;0123456789abcdefContent-LengthTransfer-Encodingchunked";
    for seed in 0..2_000 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut bytes =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n".to_vec();
        for _ in 0..random.usize(1..6) {
            let place = random.usize(..bytes.len());
            match random.u8(..3) {
                0 => bytes[place] = random.u8(..),
                1 => bytes.insert(place, alphabet[random.usize(..alphabet.len())]),
                _ => drop(bytes.remove(place)),
            }
        }
        let _ = read_every_way(Method::Get, &bytes);
    }
}
