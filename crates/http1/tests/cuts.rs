//! However a head is cut on its way, it gets the same answer: also with several things wrong with it.

use fastrand::Rng;
use rim_http1::{
    FIELD_SECTION_BYTES_MAX, FIELDS_MAX, HeadScanner, REQUEST_LINE_BYTES_MAX, Request, Scan, Status,
};

/// Heads that are made up.
const HEADS: u64 = 3000;

/// Lines of a head, and what ends each: mostly CR LF.
struct Head {
    lines: Vec<(Vec<u8>, &'static [u8])>,
}

impl Head {
    fn good(rng: &mut Rng) -> Self {
        let empty = (0..rng.usize(0..3)).map(|_| Vec::new());
        let line = [&b"GET / HTTP/1.1"[..], b"HEAD /a?b HTTP/1.0", b"OPTIONS * HTTP/1.1"];
        let line = rng.choice(line).map(<[u8]>::to_vec);
        let fields = (0..rng.usize(0..4)).map(|_| b"X: y".to_vec());
        let lines = empty.chain(line).chain([b"Host: a".to_vec()]).chain(fields);
        Self { lines: lines.chain([Vec::new()]).map(|line| (line, &b"\r\n"[..])).collect() }
    }

    /// Where the request line is: what comes before it is empty.
    fn request_line(&self) -> usize {
        self.lines.iter().position(|(line, _)| !line.is_empty()).unwrap_or_default()
    }

    /// Breaks something, at a place that may be broken already.
    fn spoil(&mut self, rng: &mut Rng) {
        let first = self.request_line();
        let field = rng.usize(first + 1..self.lines.len());
        let any = rng.usize(0..self.lines.len());
        // About as long as it may be, on both sides of the limit.
        let long = |max: usize, rng: &mut Rng| vec![b'a'; max + rng.usize(0..24) - 20];
        let lines = [
            &b"GET / HTTP/2.0"[..],
            b"GET /",
            b"GET / HTTP/1.1 ",
            b"GET /\x01 HTTP/1.1",
            b"G@T / HTTP/1.1",
            b"GET https://h/ HTTP/1.1",
            b"\x16\x03\x01",
        ];
        match rng.u32(0..9) {
            0 => self.lines[first].0 = rng.choice(lines).unwrap_or_default().to_vec(),
            1 => {
                let target = long(REQUEST_LINE_BYTES_MAX - "GET / HTTP/1.1".len(), rng);
                self.lines[first].0 = [b"GET /", &target[..], b" HTTP/1.1"].concat();
            }
            2 => self.lines[any].1 = b"\n",
            3 => self.lines[any].1 = b"\r",
            4 => {
                let (line, _) = &mut self.lines[any];
                line.insert(rng.usize(0..=line.len()), *rng.choice(b"\r\n\0 ").unwrap_or(&0));
            }
            5 => {
                let many = (b"A: b".to_vec(), &b"\r\n"[..]);
                let count = FIELDS_MAX - 4 + rng.usize(0..8);
                self.lines.splice(field..field, std::iter::repeat_n(many, count));
            }
            6 => {
                let line = [b"A: ", &long(FIELD_SECTION_BYTES_MAX - 10, rng)[..]].concat();
                self.lines.insert(field, (line, b"\r\n"));
            }
            7 => self.lines.insert(field, (b"A : b".to_vec(), b"\r\n")),
            _ => drop(self.lines.splice(0..0, vec![(Vec::new(), &b"\r\n"[..]); 4])),
        }
    }

    fn bytes(&self) -> Vec<u8> {
        self.lines.iter().flat_map(|(line, end)| [line, *end].concat()).collect()
    }
}

/// What comes of `bytes`, of which so many have come at each of the `ends`: the scanner's word, or
/// the parser's. Some where a request would end.
fn verdict(bytes: &[u8], ends: impl Iterator<Item = usize>) -> Result<Option<usize>, Status> {
    let mut scanner = HeadScanner::default();
    for end in ends {
        match scanner.scan(&bytes[..end]) {
            Scan::Partial => {}
            Scan::Reject(status) => return Err(status),
            Scan::Complete { start, end } => {
                return Request::parse(&bytes[start..end]).map(|_| Some(end));
            }
        }
    }
    Ok(None)
}

#[test]
fn no_cut_changes_the_answer() {
    let mut seen = Vec::new();
    for seed in 0..HEADS {
        let mut rng = Rng::with_seed(seed);
        let mut head = Head::good(&mut rng);
        for _ in 0..rng.u32(0..4) {
            head.spoil(&mut rng);
        }
        let bytes = head.bytes();
        let whole = verdict(&bytes, [bytes.len()].into_iter());
        let start = bytes[..bytes.len().min(200)].escape_ascii();
        assert_eq!(verdict(&bytes, 1..=bytes.len()), whole, "byte by byte, seed {seed}: {start}");
        // Of a long one, the cuts around its ends of lines, where it matters, and a few others.
        let near = |cut: &usize| {
            let around = &bytes[cut.saturating_sub(4)..(cut + 4).min(bytes.len())];
            bytes.len() < 1000
                || around.iter().any(|byte| b"\r\n".contains(byte))
                || cut.is_multiple_of(509)
        };
        for cut in (0..bytes.len()).filter(near) {
            let cut_once = verdict(&bytes, [cut, bytes.len()].into_iter());
            assert_eq!(cut_once, whole, "cut at {cut}, seed {seed}: {start}");
        }
        seen.push(whole.map(|end| end.is_some()));
    }
    // The heads are such that something of everything happens.
    for verdict in [
        Ok(true),
        Err(Status::BadRequest),
        Err(Status::UriTooLong),
        Err(Status::FieldsTooLarge),
        Err(Status::MisdirectedRequest),
        Err(Status::VersionNotSupported),
    ] {
        assert!(seen.contains(&verdict), "{verdict:?} never came");
    }
}
