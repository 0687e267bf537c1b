//! How much is answered over UDP, where anybody can ask in somebody else's name: for each network of clients so many
//! answers a second. Beyond that every second one is told to ask over TCP, which only who really is there can, and the
//! others hear nothing.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

/// What to do with a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Answer it.
    Answer,
    /// Say that it should come over TCP.
    Slip,
    /// Nothing.
    Drop,
}

/// Clients of one network share: /24 for IPv4, /56 for IPv6.
fn network(ip: IpAddr) -> u64 {
    match ip.to_canonical() {
        IpAddr::V4(ip) => u64::from(ip.to_bits() >> 8),
        IpAddr::V6(ip) => 1 << 63 | (ip.to_bits() >> 72) as u64,
    }
}

#[derive(Clone, Copy)]
struct Bucket {
    /// Answers that are left, in thousandths.
    millis: u64,
    heard: Duration,
    slips: bool,
}

/// The limiter. Times are since any moment that stays the same.
pub struct Limiter {
    /// Answers a second; 0 for no limit.
    rate: u32,
    networks_max: usize,
    networks: HashMap<u64, Bucket>,
    /// All networks for which there is no room share this.
    others: Bucket,
    swept: Duration,
}

/// The network of those for whom there is no room.
const NETWORKS_MAX: usize = 50_000;

impl Limiter {
    /// So many answers a second for each network, and twice as many at once.
    pub fn new(rate: u32) -> Self {
        let others = Bucket { millis: full(rate), heard: Duration::ZERO, slips: false };
        Limiter { rate, networks_max: NETWORKS_MAX, networks: HashMap::new(), others, swept: Duration::ZERO }
    }

    /// What to do with a question from this address.
    pub fn ask(&mut self, ip: IpAddr, now: Duration) -> Verdict {
        if self.rate == 0 {
            return Verdict::Answer;
        }
        let (rate, key) = (self.rate, network(ip));
        if self.networks.len() >= self.networks_max && !self.networks.contains_key(&key) {
            self.sweep(now);
        }
        let bucket = if self.networks.len() < self.networks_max || self.networks.contains_key(&key) {
            self.networks.entry(key).or_insert(Bucket { millis: full(rate), heard: now, slips: false })
        } else {
            &mut self.others
        };
        bucket.fill(rate, now);
        if bucket.millis >= 1000 {
            bucket.millis -= 1000;
            return Verdict::Answer;
        }
        bucket.slips = !bucket.slips;
        if bucket.slips { Verdict::Slip } else { Verdict::Drop }
    }

    /// Forgets networks that have been quiet for so long that they may ask as if they were new. At most once a second.
    fn sweep(&mut self, now: Duration) {
        if now.saturating_sub(self.swept) >= Duration::from_secs(1) {
            self.swept = now;
            let rate = self.rate;
            self.networks.retain(|_, bucket| {
                bucket.fill(rate, now);
                bucket.millis < full(rate)
            });
        }
    }
}

fn full(rate: u32) -> u64 {
    2000 * u64::from(rate)
}

impl Bucket {
    fn fill(&mut self, rate: u32, now: Duration) {
        let passed = now.saturating_sub(self.heard);
        // What is less than a millisecond is kept for the next time.
        let millis = u64::try_from(passed.as_millis()).unwrap_or(u64::MAX);
        if millis > 0 {
            self.millis = self.millis.saturating_add(millis.saturating_mul(u64::from(rate))).min(full(rate));
            self.heard = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(n: u32) -> IpAddr {
        IpAddr::from((n << 8).to_be_bytes())
    }

    fn answers(limiter: &mut Limiter, ip: IpAddr, questions: u32, now: Duration) -> u32 {
        (0..questions).map(|_| u32::from(limiter.ask(ip, now) == Verdict::Answer)).sum()
    }

    #[test]
    fn so_many_a_second() {
        let mut limiter = Limiter::new(10);
        let at = Duration::from_millis;
        assert_eq!(answers(&mut limiter, ip(1), 100, at(0)), 20);
        assert_eq!(answers(&mut limiter, ip(2), 100, at(0)), 20);
        assert_eq!((limiter.ask(ip(1), at(0)), limiter.ask(ip(1), at(0))), (Verdict::Slip, Verdict::Drop));
        assert_eq!(answers(&mut limiter, ip(1), 100, at(500)), 5);
        assert_eq!(answers(&mut limiter, ip(1), 100, at(60_000)), 20);
        assert_eq!(answers(&mut Limiter::new(0), ip(1), 100, at(0)), 100);
    }

    #[test]
    fn neighbours_share() {
        let parse = |text: &str| text.parse::<IpAddr>().map(network).unwrap_or(0);
        assert_eq!(parse("192.0.2.1"), parse("192.0.2.255"));
        assert_eq!(parse("192.0.2.1"), parse("::ffff:192.0.2.7"));
        assert_ne!(parse("192.0.2.1"), parse("192.0.3.1"));
        assert_eq!(parse("2001:db8:0:1::1"), parse("2001:db8:0:ff::1"));
        assert_ne!(parse("2001:db8:0:1::1"), parse("2001:db8:0:100::1"));
    }

    #[test]
    fn a_crowd_of_networks_is_bounded() {
        let mut limiter = Limiter { networks_max: 100, ..Limiter::new(1) };
        let now = Duration::from_secs(1);
        for n in 0..1000 {
            limiter.ask(ip(n), now);
        }
        assert_eq!(limiter.networks.len(), 100);
        // Those without room share what one has; those with room have their own.
        assert_eq!(answers(&mut limiter, ip(2000), 10, now), 0);
        assert_eq!(answers(&mut limiter, ip(5), 10, now), 1);
        let later = Duration::from_secs(100);
        assert_eq!(answers(&mut limiter, ip(2000), 10, later), 2);
        assert_eq!(limiter.networks.len(), 1);
    }
}
