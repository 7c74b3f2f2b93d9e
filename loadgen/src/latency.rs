//! How long answers took.
//!
//! A request that failed, or has no answer when the run ends, did take at least as long as it had
//! waited: it is a right-censored sample, and leaving it out would hide just those that waited longest. Quantiles
//! come from the estimator of Kaplan and Meier; where too many samples are censored to know one, it
//! is a lower bound and says so.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;
use serde::ser::{SerializeStruct, Serializer};

/// Longer times count as this, in nanoseconds.
const HOUR_NS: u64 = 3_600_000_000_000;
/// Significant decimal digits of a recorded time.
const DIGITS: u8 = 3;

/// The quantiles of a summary, with their names.
const QUANTILES: [(&str, f64); 6] = [
    ("p50", 0.50),
    ("p90", 0.90),
    ("p99", 0.99),
    ("p99_9", 0.999),
    ("p99_99", 0.999_9),
    ("max", 1.0),
];

/// An empty histogram of times in nanoseconds.
#[must_use]
pub fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, HOUR_NS, DIGITS).expect("these bounds are in order")
}

/// A time as the histograms take it.
#[inline]
#[must_use]
pub fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// Recorded times, of answers and of requests still unanswered.
#[derive(Clone, Debug)]
pub struct Latency {
    answered: Histogram<u64>,
    censored: Histogram<u64>,
}

impl Default for Latency {
    fn default() -> Self {
        Self { answered: histogram(), censored: histogram() }
    }
}

impl Latency {
    /// Records an answer that took so long.
    #[inline]
    pub fn answered(&mut self, took: Duration) {
        self.answered.saturating_record(nanos(took));
    }

    /// Records a request that had waited so long without an answer when it failed, or when the run
    /// ended.
    pub fn unanswered(&mut self, waited: Duration) {
        self.censored.saturating_record(nanos(waited));
    }

    /// The longest that an answer took.
    #[must_use]
    pub fn longest_answer(&self) -> Duration {
        Duration::from_nanos(self.answered.max())
    }

    /// The time within which half of the answers came.
    #[must_use]
    pub fn median_answer(&self) -> Duration {
        Duration::from_nanos(self.answered.value_at_quantile(0.5))
    }

    /// How many requests without an answer were recorded.
    #[must_use]
    pub fn unanswered_count(&self) -> u64 {
        self.censored.len()
    }

    /// How many answers were recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.answered.len()
    }

    /// Adds another's samples.
    pub fn add(&mut self, other: &Self) {
        for (mine, others) in
            [(&mut self.answered, &other.answered), (&mut self.censored, &other.censored)]
        {
            mine.add(others).expect("both have the same bounds");
        }
    }

    /// Each recorded time with how many answers and how many unanswered requests have it, in order.
    fn steps(&self) -> Vec<(u64, u64, u64)> {
        let of = |histogram: &Histogram<u64>| -> Vec<(u64, u64)> {
            let values = histogram.iter_recorded();
            values.map(|step| (step.value_iterated_to(), step.count_at_value())).collect()
        };
        let answered = of(&self.answered).into_iter().map(|(value, count)| (value, count, 0));
        let censored = of(&self.censored).into_iter().map(|(value, count)| (value, 0, count));
        let mut steps: Vec<_> = answered.chain(censored).collect();
        // At the same value the answers come first, as the estimator has it.
        steps.sort_by_key(|(value, answered, _)| (*value, *answered == 0));
        steps
    }

    /// What there is to say about them.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let mut summary = Summary {
            count: self.answered.len(),
            censored: self.censored.len(),
            min: self.answered.min() as f64 / 1e3,
            ..Summary::default()
        };
        let longest = self.answered.max().max(self.censored.max()) as f64 / 1e3;
        let mut at_risk = summary.count + summary.censored;
        let mut survival = 1.0;
        let mut wanted = 0;
        for (value, answered, censored) in self.steps() {
            let value = (value as f64 / 1e3).min(longest);
            let before = survival;
            survival *= 1.0 - answered as f64 / at_risk as f64;
            at_risk -= answered + censored;
            summary.mean += (before - survival) * value;
            // The products above round; a quantile is not to be missed for that.
            while answered > 0 && wanted < QUANTILES.len() {
                if survival > 1.0 - QUANTILES[wanted].1 + 1e-9 {
                    break;
                }
                summary.quantiles[wanted].us = value;
                wanted += 1;
            }
        }
        summary.mean += survival * longest;
        for quantile in &mut summary.quantiles[wanted..] {
            *quantile = Quantile { us: longest, is_lower_bound: summary.censored > 0 };
        }
        summary
    }
}

/// One quantile.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Quantile {
    /// In microseconds.
    pub us: f64,
    /// Whether it may be more: unanswered requests hide it.
    pub is_lower_bound: bool,
}

/// Times summed up.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Summary {
    /// Answers.
    pub count: u64,
    /// Requests without an answer.
    pub censored: u64,
    /// The shortest answer, in microseconds.
    pub min: f64,
    /// The mean in microseconds; a lower bound if the maximum is.
    pub mean: f64,
    quantiles: [Quantile; QUANTILES.len()],
}

impl Summary {
    /// The quantiles by name, in order.
    pub fn quantiles(&self) -> impl Iterator<Item = (&'static str, Quantile)> {
        let names = QUANTILES.iter().map(|(name, _)| *name);
        names.zip(self.quantiles)
    }

    /// Whether any of the quantiles is a lower bound.
    #[must_use]
    pub fn is_lower_bound(&self) -> bool {
        self.quantiles.iter().any(|quantile| quantile.is_lower_bound)
    }
}

impl Serialize for Summary {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let rounded = |us: f64| (us * 1e3).round() / 1e3;
        let mut fields = serializer.serialize_struct("Summary", 12)?;
        fields.serialize_field("count", &self.count)?;
        fields.serialize_field("censored", &self.censored)?;
        fields.serialize_field("min", &rounded(self.min))?;
        fields.serialize_field("mean", &rounded(self.mean))?;
        for (name, quantile) in self.quantiles() {
            fields.serialize_field(name, &rounded(quantile.us))?;
        }
        fields.serialize_field("is_lower_bound", &self.is_lower_bound())?;
        let bounds = self.quantiles().filter(|(_, q)| q.is_lower_bound);
        let bounds: Vec<_> = bounds.map(|(name, _)| name).collect();
        fields.serialize_field("lower_bounds", &bounds)?;
        fields.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(answered: &[u64], unanswered: &[u64]) -> Summary {
        let mut latency = Latency::default();
        for micros in answered {
            latency.answered(Duration::from_micros(*micros));
        }
        for micros in unanswered {
            latency.unanswered(Duration::from_micros(*micros));
        }
        latency.summary()
    }

    fn quantile(summary: &Summary, wanted: &str) -> Quantile {
        let mut quantiles = summary.quantiles();
        quantiles.find(|(name, _)| *name == wanted).unwrap().1
    }

    fn assert_about(value: f64, expected: f64) {
        assert!((value / expected - 1.0).abs() < 0.002, "{value} for {expected}");
    }

    #[test]
    fn without_unanswered_requests_these_are_plain_quantiles() {
        let times: Vec<u64> = (1..=10_000).collect();
        let summary = summary(&times, &[]);
        assert_about(summary.min, 1.0);
        assert_about(summary.mean, 5_000.5);
        for (name, expected) in [
            ("p50", 5_000.0),
            ("p90", 9_000.0),
            ("p99", 9_900.0),
            ("p99_9", 9_990.0),
            ("p99_99", 9_999.0),
            ("max", 10_000.0),
        ] {
            assert_about(quantile(&summary, name).us, expected);
        }
        assert!(!summary.is_lower_bound());
    }

    #[test]
    fn quantiles_among_the_unanswered_are_lower_bounds() {
        // 30 of 100 connections were answered at once, 70 had waited a second.
        let summary = summary(&[100; 30], &[1_000_000; 70]);
        assert_about(summary.min, 100.0);
        for name in ["p50", "p90", "p99", "p99_9", "p99_99", "max"] {
            let quantile = quantile(&summary, name);
            assert!(quantile.is_lower_bound, "{name}");
            assert_about(quantile.us, 1_000_000.0);
        }
        assert_about(summary.mean, 0.3 * 100.0 + 0.7 * 1_000_000.0);
    }

    #[test]
    fn the_few_that_are_always_out_at_the_end_change_little() {
        let times: Vec<u64> = (1..=10_000).collect();
        let unanswered = [1_000; 64];
        let summary = summary(&times, &unanswered);
        assert!(!summary.is_lower_bound());
        // They waited 1,000 and would have taken longer: the median moves up, by 32 of 10,064.
        assert!(quantile(&summary, "p50").us > 5_000.0);
        assert!(quantile(&summary, "p50").us < 5_050.0);
        assert_about(quantile(&summary, "max").us, 10_000.0);
    }

    #[test]
    fn an_unanswered_request_older_than_any_answer_hides_the_maximum() {
        let times: Vec<u64> = (1..=1_000).collect();
        let summary = summary(&times, &[5_000]);
        let max = quantile(&summary, "max");
        assert!(max.is_lower_bound);
        assert_about(max.us, 5_000.0);
        assert!(!quantile(&summary, "p99").is_lower_bound);
    }

    #[test]
    fn nothing_recorded_is_nothing_said() {
        let summary = summary(&[], &[]);
        assert_eq!(summary, Summary::default());
    }

    #[test]
    fn the_result_names_its_lower_bounds() {
        let json = serde_json::to_value(summary(&[100; 95], &[1_000; 5])).unwrap();
        assert_eq!(json["count"], 95);
        assert_eq!(json["censored"], 5);
        assert_eq!(json["is_lower_bound"], true);
        let bounds = serde_json::json!(["p99", "p99_9", "p99_99", "max"]);
        assert_eq!(json["lower_bounds"], bounds);
    }

    #[test]
    fn added_samples_are_the_same_as_recorded_ones() {
        let mut first = Latency::default();
        let mut second = Latency::default();
        let mut both = Latency::default();
        for micros in 1..100 {
            let time = Duration::from_micros(micros * micros);
            let half = if micros % 2 == 0 { &mut first } else { &mut second };
            half.answered(time);
            both.answered(time);
            half.unanswered(time);
            both.unanswered(time);
        }
        first.add(&second);
        assert_eq!(first.summary(), both.summary());
    }
}
