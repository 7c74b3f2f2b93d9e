//! Jobs, wakers and deadlines.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use rim_driver::{Job, Op, Outcome, Time};

use super::run::Run;
use super::script::{Script, check};

fn offload(run: &mut Run, job: Job) -> Option<u64> {
    match run.perform(Op::Offload(job)) {
        Ok(Outcome::Offloaded(result)) => Some(*result?.downcast().expect("the job's result")),
        other => panic!("offload: {other:?}"),
    }
}

#[test]
fn jobs_give_back_their_results() {
    check(Script {
        set: |_| {},
        play: |run| {
            let result = offload(run, Job::new(|| 6u64 * 7));
            run.note(format_args!("{result:?}"));
            // Without the hook's message.
            let panics = Job::new(|| -> u64 { resume_unwind(Box::new("a panic")) });
            let result = offload(run, panics);
            run.note(format_args!("{result:?}"));
            let jobs: Vec<_> =
                (0..50u64).map(|n| run.start(Op::Offload(Job::new(move || n)))).collect();
            let mut sum = 0;
            for job in jobs {
                let Ok(Outcome::Offloaded(Some(result))) = run.end(job) else { panic!("a job") };
                sum += *result.downcast::<u64>().expect("the job's result");
            }
            run.note(sum);
        },
        expected: &["Some(42)", "None", "1225"],
    });
}

#[test]
fn a_waker_ends_an_endless_wait() {
    check(Script {
        set: |_| {},
        play: |run| {
            for _ in 0..3 {
                let waker = run.driver().waker();
                let thread = thread::spawn(move || waker.wake());
                while run.take_woken() == 0 {
                    run.turn(None);
                }
                thread.join().expect("a thread that only wakes");
                run.note("woken");
            }
        },
        expected: &["woken", "woken", "woken"],
    });
}

#[test]
fn uses_of_a_waker_before_a_turn_are_one() {
    check(Script {
        set: |_| {},
        play: |run| {
            for _ in 0..3 {
                let waker = run.driver().waker();
                for _ in 0..5 {
                    waker.clone().wake();
                }
                let mut times = 0;
                while times == 0 {
                    run.turn(None);
                    times += run.take_woken();
                }
                for _ in 0..3 {
                    run.turn_at_once();
                }
                times += run.take_woken();
                run.note(times);
            }
        },
        expected: &["1", "1", "1"],
    });
}

#[test]
fn no_use_of_a_waker_is_lost() {
    const THREADS: usize = 3;
    const EACH: usize = 500;
    check(Script {
        set: |_| {},
        play: |run| {
            let done = Arc::new(AtomicUsize::new(0));
            let threads = [(); THREADS].map(|()| {
                let (waker, done) = (run.driver().waker(), done.clone());
                thread::spawn(move || {
                    for _ in 0..EACH {
                        done.fetch_add(1, Ordering::Relaxed);
                        waker.wake();
                    }
                })
            });
            // Whoever adds, wakes afterwards: without a wait for it, this would not end.
            while done.load(Ordering::Relaxed) < THREADS * EACH {
                run.turn(None);
            }
            let _ = threads.map(|thread| thread.join().expect("a thread that only wakes"));
            run.note("all seen");
        },
        expected: &["all seen"],
    });
}

#[test]
fn a_turn_ends_at_its_deadline() {
    check(Script {
        set: |_| {},
        play: |run| {
            let start = run.driver().now();
            for past in [Time::ZERO, start] {
                let count = run.turn(Some(past));
                run.note(format_args!("past: {count} completions"));
            }
            for wait in [Duration::from_micros(300), Duration::from_millis(15)] {
                let until = run.driver().now() + wait;
                let (mut turns, mut count) = (0, 0);
                while run.driver().now() < until {
                    count += run.turn(Some(until));
                    turns += 1;
                }
                run.note(format_args!("future: {count} completions, spins: {}", turns > 3));
            }
        },
        expected: &[
            "past: 0 completions",
            "past: 0 completions",
            "future: 0 completions, spins: false",
            "future: 0 completions, spins: false",
        ],
    });
}
