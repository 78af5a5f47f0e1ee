//! How often one may guess at a password: limits that hold wherever the
//! platform runs, because they are kept in the store.
//!
//! Wrong passwords are counted for an account *and* the network that they come
//! from: whoever guesses from elsewhere makes its owner wait for nothing. A
//! device that the account was used on before is counted by itself, so that even
//! a neighbor can't lock anyone out. Beside that each network is counted, so that
//! nobody tries one password with every account. It's counted in the same way
//! whether or not there is such an account.
//!
//! Wrong passkeys are counted for the network alone: a signature isn't guessed,
//! and whoever sends wrong ones in another's name makes nobody wait.

use runtime::{derived_id, prelude::*, problems::TOO_MANY_REQUESTS};

use crate::email::Email;

/// So many wrong passwords are nobody's fault; after that each takes longer to wait for.
const FREE: u32 = 5;
/// The longest that one waits for a password, in seconds.
const WAIT_MOST: i64 = 15 * 60;
/// How long wrong passwords are remembered after the last one, in minutes.
const REMEMBERED_MINUTES: i64 = 24 * 60;
/// How many wrong passwords a network may send at once, and after how many
/// seconds it may send one more: a school may be one.
const NETWORK_AT_ONCE: i64 = 200;
const NETWORK_SECONDS: i64 = 2;
/// How often counting is tried while others count in the same place.
const ATTEMPTS: u32 = 24;

/// The wrong passwords for an account from somewhere, or of a network.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Guesses {
    id: String,
    wrong: u32,
    /// Until when nobody is heard; for a network, as if each wrong password took its time.
    wait_until: Timestamp,
    forget_at: Timestamp,
}

impl Document for Guesses {
    const COLLECTION: &'static str = "guesses";
    const EXPIRES: Option<&'static str> = Some("forget_at");
    fn key(&self) -> String {
        self.id.clone()
    }
}

impl Guesses {
    const fn none(id: String, now: Timestamp) -> Self {
        Self { id, wrong: 0, wait_until: now, forget_at: now }
    }

    /// Counts a wrong password for an account.
    fn wrong_for_account(&mut self, now: Timestamp) {
        self.wrong = self.wrong.saturating_add(1);
        let steps = self.wrong.saturating_sub(FREE);
        let wait = if steps == 0 { 0 } else { WAIT_MOST.min(1 << steps.min(20)) };
        self.wait_until = now.plus_seconds(wait);
        self.forget_at = now.plus_minutes(REMEMBERED_MINUTES);
    }

    /// Counts a wrong password of a network (the generic cell rate algorithm).
    fn wrong_of_network(&mut self, now: Timestamp) {
        self.wrong = self.wrong.saturating_add(1);
        self.wait_until = self.wait_until.max(now).plus_seconds(NETWORK_SECONDS);
        self.forget_at = self.wait_until;
    }

    /// For how many seconds nobody is heard about the account.
    fn account_waits(&self, now: Timestamp) -> i64 {
        seconds_until(self.wait_until, now)
    }

    /// For how many seconds the network isn't heard.
    fn network_waits(&self, now: Timestamp) -> i64 {
        let full = now.plus_seconds(NETWORK_AT_ONCE * NETWORK_SECONDS);
        seconds_until(self.wait_until.plus_seconds(NETWORK_SECONDS), full)
    }
}

fn seconds_until(then: Timestamp, now: Timestamp) -> i64 {
    (then.as_millis() - now.as_millis()).max(0).div_euclid(1000)
        + i64::from((then.as_millis() - now.as_millis()).max(0) % 1000 > 0)
}

/// What counts when someone shows a password: those for the account from here,
/// and those of the network. When they show a passkey: those of the network.
pub struct Counted {
    account: Option<Stored<Guesses>>,
    network: Stored<Guesses>,
}

impl Counted {
    /// What was counted so far for an address, from a network or, if it's known, a device.
    pub async fn of<C>(cx: &Context<C>, email: &Email, device_id: Option<&str>) -> Result<Self> {
        let network = cx.sender().network().unwrap_or_default();
        let who = email.key("guesses");
        let account = match device_id {
            Some(device_id) => derived_id(&["device", &who, device_id]),
            None => derived_id(&["network", &who, &network]),
        };
        Self::read(cx, Some(account), derived_id(&["network", &network])).await
    }

    /// What was counted so far for a network, whatever the account.
    pub async fn of_network<C>(cx: &Context<C>) -> Result<Self> {
        let network = cx.sender().network().unwrap_or_default();
        Self::read(cx, None, derived_id(&["network", &network])).await
    }

    async fn read<C>(cx: &Context<C>, account: Option<String>, network: String) -> Result<Self> {
        let ids: Vec<_> = [network].into_iter().chain(account).collect();
        let found = cx.get_all::<Guesses>(&ids).await?;
        let mut found = found.into_iter().zip(ids).map(|(guesses, id)| {
            // The store may keep them longer than they count.
            let none = || Stored::new(Guesses::none(id.clone(), cx.now));
            let mut guesses = guesses.unwrap_or_else(none);
            if guesses.forget_at <= cx.now {
                *guesses = Guesses::none(id, cx.now);
            }
            guesses
        });
        let (network, account) = (found.next(), found.next());
        let lost = || anyhow::anyhow!("a read answers with as many as were asked for");
        Ok(Self { account, network: network.ok_or_else(lost)? })
    }

    /// Refuses whoever has to wait.
    pub fn check(&self, now: Timestamp) -> Result<()> {
        let account = self.account.as_ref().map_or(0, |it| it.account_waits(now));
        match account.max(self.network.network_waits(now)) {
            0 => Ok(()),
            wait => {
                let seconds = u32::try_from(wait).unwrap_or(u32::MAX);
                let (en, es) = (
                    format!("Too many wrong attempts from here. Try again in {seconds} s."),
                    format!("Demasiados intentos fallidos desde aquí. Prueba en {seconds} s."),
                );
                let refusal = Refusal::of(TOO_MANY_REQUESTS).because(en, es);
                Err(refusal.retry_after(seconds).into())
            }
        }
    }

    /// Counts what was wrong, before it's told that it was. Whoever guessed
    /// at the same time as others isn't told if they were enough.
    pub async fn wrong<C>(mut self, cx: &Context<C>) -> Result<()> {
        for _ in 0..ATTEMPTS {
            self.check(cx.now)?;
            self.network.wrong_of_network(cx.now);
            let mut changes = Changes::new().save(&self.network);
            if let Some(account) = &mut self.account {
                account.wrong_for_account(cx.now);
                changes = changes.save(account);
            }
            match cx.commit_part(changes).await {
                Err(Error::Stale(_)) => {}
                done => return done,
            }
            let account = self.account.as_ref().map(|it| it.key());
            self = Self::read(cx, account, self.network.key()).await?;
        }
        Err(Error::Unavailable(1))
    }

    /// Forgets the wrong passwords for the account, now that the right one was
    /// shown. If someone guesses meanwhile, it's looked at again.
    pub fn right(self, changes: Changes) -> Changes {
        self.account.iter().fold(changes, Changes::delete)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn none() -> Guesses {
        Guesses::none("g".into(), NOW)
    }

    #[test]
    fn after_five_wrong_passwords_each_takes_twice_as_long() {
        let mut guesses = none();
        let waits: Vec<_> = (0..20)
            .map(|_| {
                guesses.wrong_for_account(NOW);
                guesses.account_waits(NOW)
            })
            .collect();
        assert_eq!(waits[..10], [0, 0, 0, 0, 0, 2, 4, 8, 16, 32]);
        assert_eq!(waits[19], WAIT_MOST);
        assert_eq!(guesses.account_waits(NOW.plus_seconds(WAIT_MOST)), 0);
        assert_eq!(guesses.account_waits(NOW.plus_seconds(WAIT_MOST - 1)), 1);
    }

    #[test]
    fn a_network_sends_two_hundred_at_once_and_then_one_every_two_seconds() {
        let mut guesses = none();
        for _ in 0..NETWORK_AT_ONCE {
            assert_eq!(guesses.network_waits(NOW), 0);
            guesses.wrong_of_network(NOW);
        }
        assert_eq!(guesses.network_waits(NOW), NETWORK_SECONDS);
        assert_eq!(guesses.network_waits(NOW.plus_seconds(NETWORK_SECONDS)), 0);
    }
}
