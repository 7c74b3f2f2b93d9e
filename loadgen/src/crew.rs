//! The worker threads, as the main thread sees them.

use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rim_driver::{Clock, CoreList, Time, Waker};

use crate::errors::Errors;
use crate::failure::CannotRun;
use crate::intervals::{Interval, Recorder};
use crate::live::{Live, Snapshot};
use crate::plan::Plan;
use crate::progress::{Phase, Progress};
use crate::tally::Tally;
use crate::thread::{self, DriverKind, Message, Post};
use crate::worker::{Share, Ties, Window};

/// How long the main thread waits for a message before it looks around.
const TICK: Duration = Duration::from_millis(50);

/// What the crew is to do.
pub(crate) struct Orders {
    pub(crate) plan: Arc<Plan>,
    /// A worker for each.
    pub(crate) cores: CoreList,
    pub(crate) driver: DriverKind,
    /// How many connections each worker may be opening at once.
    pub(crate) connects_at_once: usize,
    pub(crate) connect_timeout: Duration,
    /// Where times by interval go, if anybody wants them.
    pub(crate) to_log: Option<Sender<Interval>>,
}

/// How far a worker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Opening,
    Opened,
    Finished,
}

/// The workers.
pub(crate) struct Crew {
    hands: Vec<Hand>,
    messages: Receiver<(usize, Message)>,
    stop: Arc<AtomicBool>,
    progress: Progress,
    driver: &'static str,
    /// Of the workers that have finished.
    tally: Tally,
}

/// One worker.
struct Hand {
    thread: JoinHandle<()>,
    window: Sender<Window>,
    live: Arc<Live>,
    waker: Option<Waker>,
    stage: Stage,
    opened: u64,
    errors: Errors,
}

impl Crew {
    /// Starts a thread on each core, with an equal share of the connections.
    pub(crate) fn start(orders: &Orders, progress: Progress) -> Result<Self, CannotRun> {
        let (to_crew, messages) = channel();
        let mut crew = Self {
            hands: Vec::new(),
            messages,
            stop: Arc::new(AtomicBool::new(false)),
            progress,
            driver: "none",
            tally: Tally::default(),
        };
        let shares = shares(u64::from(orders.plan.connections), &vec![1; orders.cores.len()]);
        let mut first = 0;
        for (core, connections) in orders.cores.iter().zip(shares) {
            let share = Share {
                plan: orders.plan.clone(),
                first,
                connections: connections as u32,
                connects_at_once: orders.connects_at_once,
            };
            first += share.connections;
            crew.start_hand(orders, core, share, to_crew.clone())?;
        }
        Ok(crew)
    }

    fn start_hand(
        &mut self,
        orders: &Orders,
        core: usize,
        share: Share,
        to_crew: Sender<(usize, Message)>,
    ) -> Result<(), CannotRun> {
        let live = Arc::new(Live::default());
        let (window, windows) = channel();
        let thread = thread::start(Post {
            number: self.hands.len(),
            core,
            driver: orders.driver,
            share,
            ties: Ties {
                stop: self.stop.clone(),
                live: live.clone(),
                recorder: orders.to_log.clone().map(Recorder::new),
                clock: Some(Clock),
            },
            connect_timeout: orders.connect_timeout,
            to_crew,
            windows,
        })?;
        self.hands.push(Hand {
            thread,
            window,
            live,
            waker: None,
            stage: Stage::Opening,
            opened: 0,
            errors: Errors::default(),
        });
        Ok(())
    }

    /// Waits until all are at that stage, and does `meanwhile` now and then.
    ///
    /// # Errors
    /// The first failure of a worker.
    pub(crate) fn wait(
        &mut self,
        stage: Stage,
        phase: Phase,
        interrupted: &AtomicBool,
        mut meanwhile: impl FnMut(),
    ) -> Result<(), CannotRun> {
        self.progress.begin(self.figures());
        while self.hands.iter().any(|hand| hand.stage < stage) {
            if interrupted.load(Ordering::Relaxed) {
                self.stop();
            }
            match self.messages.recv_timeout(TICK) {
                Ok((number, message)) => self.hear(number, message)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(CannotRun::WorkerLost),
            }
            self.progress.show(phase, self.figures());
            meanwhile();
        }
        self.progress.end();
        Ok(())
    }

    fn hear(&mut self, number: usize, message: Message) -> Result<(), CannotRun> {
        let hand = &mut self.hands[number];
        match message {
            Message::Started(driver, waker) => {
                hand.waker = Some(waker);
                self.driver = driver;
            }
            Message::Opened(opened, errors) => {
                hand.stage = Stage::Opened;
                (hand.opened, hand.errors) = (opened, errors);
            }
            Message::Finished(result) => {
                hand.stage = Stage::Finished;
                self.tally.add(&*result?);
            }
        }
        Ok(())
    }

    /// Begins the window. Of the requests, each worker gets a share by the connections that it has
    /// open.
    pub(crate) fn go(&mut self, requests: u64, window: impl Fn(u64) -> Window) {
        let opened: Vec<_> = self.hands.iter().map(|hand| hand.opened).collect();
        let shares = match requests {
            u64::MAX => vec![u64::MAX; opened.len()],
            _ => shares(requests, &opened),
        };
        for (hand, share) in self.hands.iter().zip(shares) {
            // A worker that is gone says so itself.
            let _ = hand.window.send(window(share));
        }
    }

    /// Has all workers end as soon as they can.
    fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        for waker in self.hands.iter().filter_map(|hand| hand.waker.as_ref()) {
            waker.wake();
        }
    }

    fn figures(&self) -> Snapshot {
        let mut figures = Snapshot::default();
        for hand in &self.hands {
            figures.add(&hand.live);
        }
        figures
    }

    /// How many connections all have open.
    pub(crate) fn opened(&self) -> u64 {
        self.hands.iter().map(|hand| hand.opened).sum()
    }

    /// What went wrong while they opened them.
    pub(crate) fn errors_in_opening(&self) -> Errors {
        let mut errors = Errors::default();
        for hand in &self.hands {
            errors.add(&hand.errors);
        }
        errors
    }

    /// The name of the driver in use.
    pub(crate) fn driver(&self) -> &'static str {
        self.driver
    }

    /// When the last of those that have finished did.
    pub(crate) fn ended(&self) -> Time {
        self.tally.ended
    }

    /// What those that have finished have counted.
    pub(crate) fn take_tally(&mut self) -> Tally {
        mem::take(&mut self.tally)
    }
}

impl Drop for Crew {
    /// No thread outlives its run.
    fn drop(&mut self) {
        self.progress.end();
        // A worker that is still opening connections needs a waker to notice.
        while let Ok((number, message)) = self.messages.try_recv() {
            if let Message::Started(_, waker) = message {
                self.hands[number].waker = Some(waker);
            }
        }
        for hand in mem::take(&mut self.hands) {
            self.stop.store(true, Ordering::Release);
            // Without orders to come, a worker that has opened its connections ends.
            drop(hand.window);
            if let Some(waker) = hand.waker {
                waker.wake();
            }
            // A panic has told of itself.
            let _ = hand.thread.join();
        }
    }
}

/// Parts of `total` by weight, which add up to it.
fn shares(total: u64, weights: &[u64]) -> Vec<u64> {
    let sum = weights.iter().sum::<u64>().max(1);
    let until = |weight: u64| (u128::from(total) * u128::from(weight) / u128::from(sum)) as u64;
    let mut before = 0;
    let ends = weights.iter().map(|weight| {
        let start = before;
        before += weight;
        until(before) - until(start)
    });
    ends.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up() {
        for (total, weights, expected) in [
            (10, vec![1, 1, 1], vec![3, 3, 4]),
            (2, vec![1, 1, 1], vec![0, 1, 1]),
            (100, vec![0, 3, 1], vec![0, 75, 25]),
            (7, vec![0], vec![0]),
            (u64::MAX, vec![u32::MAX.into(), 1], vec![u64::MAX - (1 << 32), 1 << 32]),
        ] {
            let shares = shares(total, &weights);
            assert_eq!(shares, expected);
        }
    }
}
