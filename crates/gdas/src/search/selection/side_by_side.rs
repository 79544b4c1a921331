//! Concurrent execution of independent trials.

use std::panic::{self, AssertUnwindSafe};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::Error;

/// Maximum number of concurrent trials, as each has its activations in memory.
pub(super) const AT_ONCE: usize = 8;

/// The results of `trial` for all items, in order, with at most `at_once` concurrent trials. The threads of the current pool
/// are divided among them, as a small network does not scale to many threads.
///
/// `proceed` is called on this thread with the number of finished trials, before the first trial and after each except the
/// last. It may block; no trial starts meanwhile. If it returns false, no further trial starts, and the result is `None`.
///
/// # Errors
/// The first error in the order of the items; an error of `proceed`; or if a thread cannot be started.
pub(super) fn side_by_side<I: Sync, T: Send>(
    items: &[I],
    at_once: usize,
    trial: impl Fn(&I) -> Result<T, Error> + Sync,
    mut proceed: impl FnMut(usize) -> Result<bool, Error>,
) -> Result<Option<Vec<T>>, Error> {
    let threads = rayon::current_num_threads();
    let workers = at_once.min(threads).min(items.len());
    if workers <= 1 {
        let mut results = Vec::with_capacity(items.len());
        for item in items {
            if !proceed(results.len())? {
                return Ok(None);
            }
            results.push(trial(item)?);
        }
        return Ok(Some(results));
    }
    let pools = pools(threads, workers)?;
    let (hand_out, tasks) = mpsc::channel::<usize>();
    let tasks = Mutex::new(tasks);
    let (report, reports) = mpsc::channel();
    let mut results: Vec<Option<Result<T, Error>>> = items.iter().map(|_| None).collect();
    let outcome = thread::scope(|scope| {
        for pool in &pools {
            let (report, tasks, trial) = (report.clone(), &tasks, &trial);
            scope.spawn(move || {
                loop {
                    // The lock is released before the trial begins.
                    let next = tasks.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok(index) = next else { return };
                    let result = panic::catch_unwind(AssertUnwindSafe(|| pool.install(|| trial(&items[index]))));
                    if report.send((index, result)).is_err() {
                        return;
                    }
                }
            });
        }
        // Dropped at the end, also after an error, so that the workers return.
        let hand_out = hand_out;
        let (mut begun, mut done, mut going_on) = (0, 0, proceed(0)?);
        while begun < workers && going_on {
            let _ = hand_out.send(begun);
            begun += 1;
        }
        while done < begun {
            let Ok((index, result)) = reports.recv() else { break };
            let result = result.unwrap_or_else(|panic| panic::resume_unwind(panic));
            going_on &= result.is_ok();
            results[index] = Some(result);
            done += 1;
            if going_on && done < items.len() {
                going_on = proceed(done)?;
            }
            if going_on && begun < items.len() {
                let _ = hand_out.send(begun);
                begun += 1;
            }
        }
        Ok::<_, Error>(())
    });
    outcome?;
    // Items start in order, so all items before a failed one have a result. A missing result follows a failure or a stop.
    results.into_iter().map(Option::transpose).collect::<Result<Option<Vec<T>>, Error>>()
}

/// Thread pools of nearly equal size.
fn pools(threads: usize, workers: usize) -> Result<Vec<ThreadPool>, Error> {
    let size = |worker: usize| threads / workers + usize::from(worker < threads % workers);
    let pool = |worker| ThreadPoolBuilder::new().num_threads(size(worker)).build();
    (0..workers).map(pool).collect::<Result<_, _>>().map_err(|error| Error::Other(Box::new(error)))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    fn in_pool<R: Send>(threads: usize, work: impl FnOnce() -> R + Send) -> R {
        ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool").install(work)
    }

    #[test]
    fn results_are_in_order_and_progress_counts_up() {
        for threads in [1, 2, 5, 20] {
            let items: Vec<usize> = (0..23).collect();
            let mut seen = vec![];
            let found = in_pool(threads, || {
                side_by_side(
                    &items,
                    AT_ONCE,
                    |&item| {
                        thread::sleep(std::time::Duration::from_millis(((item * 7) % 5) as u64));
                        assert!(rayon::current_num_threads() <= threads.div_ceil(AT_ONCE.min(threads)));
                        Ok(item * item)
                    },
                    |done| {
                        seen.push(done);
                        Ok(true)
                    },
                )
            });
            let expected: Vec<usize> = items.iter().map(|item| item * item).collect();
            assert_eq!(found.expect("no error"), Some(expected));
            assert_eq!(seen, items);
        }
    }

    #[test]
    fn after_a_stop_no_trial_begins() {
        for threads in [1, 3] {
            let begun = AtomicUsize::new(0);
            let trial = |(): &()| {
                begun.fetch_add(1, Ordering::SeqCst);
                Ok(())
            };
            let found = in_pool(threads, || side_by_side(&[(); 50], AT_ONCE, trial, |done| Ok(done < 10)));
            assert_eq!(found.expect("no error"), None);
            assert!(begun.load(Ordering::SeqCst) < 10 + threads);
        }
    }

    #[test]
    fn the_first_error_in_order_is_reported() {
        for threads in [1, 2, 4] {
            let trial = |&item: &u64| {
                if item >= 5 {
                    // The later ones fail sooner.
                    thread::sleep(std::time::Duration::from_millis(20 - item));
                    return Err(Error::Unsuitable(item.to_string()));
                }
                Ok(item)
            };
            let items: Vec<u64> = (0..20).collect();
            let found = in_pool(threads, || side_by_side(&items, AT_ONCE, trial, |_| Ok(true)));
            assert_eq!(found.expect_err("an error").to_string(), "5");
        }
    }

    #[test]
    #[should_panic(expected = "a faulty trial")]
    fn a_panic_in_a_trial_reaches_the_caller() {
        let trial = |&item: &u64| if item == 3 { panic!("a faulty trial") } else { Ok(()) };
        let _ = in_pool(2, || side_by_side(&[0, 1, 2, 3, 4, 5], AT_ONCE, trial, |_| Ok(true)));
    }
}
