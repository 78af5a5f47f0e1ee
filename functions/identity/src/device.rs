//! A device: what someone signs in on, as far as it's shown to them again.
//!
//! A device that has signed in holds a token that says so. It opens nothing; it
//! only tells a device that is known from all others, so that its owner can sign
//! in on it while strangers guess at their password from the same network.

use runtime::{Secret, Sender, prelude::*, same_secret};

/// How many devices of a person are known: those that they used last.
const KNOWN: usize = 20;

/// How long it isn't written down that a device is still used.
const SEEN_SECONDS: i64 = 24 * 60 * 60;

/// What someone signs in on, as it's shown to them: what it says it is, and the
/// network that it's in. Neither the whole address nor the whole `User-Agent` is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
}

impl Device {
    /// What has sent a request.
    pub fn of(sender: &Sender) -> Self {
        Self { name: name(sender.agent.as_deref().unwrap_or_default()), network: sender.network() }
    }
}

/// What a `User-Agent` means to people: `Firefox on Linux`.
fn name(agent: &str) -> String {
    let first = |names: &[(&str, &'static str)]| {
        names.iter().find(|(part, _)| agent.contains(part)).map(|(_, name)| *name)
    };
    // The order matters: each pretends to be those after it.
    let program = first(&[
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("SamsungBrowser/", "Samsung Internet"),
        ("Firefox/", "Firefox"),
        ("FxiOS/", "Firefox"),
        ("CriOS/", "Chrome"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ]);
    let system = first(&[
        ("iPhone", "iPhone"),
        ("iPad", "iPad"),
        ("Android", "Android"),
        ("CrOS", "ChromeOS"),
        ("Windows", "Windows"),
        ("Mac OS X", "macOS"),
        ("Linux", "Linux"),
    ]);
    match (program, system) {
        (Some(program), Some(system)) => format!("{program} on {system}"),
        (Some(only), None) | (None, Some(only)) => only.to_owned(),
        (None, None) => {
            let product = agent.split(['/', ' ']).next().unwrap_or_default();
            let plain = product.chars().filter(char::is_ascii_alphanumeric).take(40);
            Some(plain.collect::<String>()).filter(|it| !it.is_empty()).unwrap_or("?".into())
        }
    }
}

/// The devices that a person has signed in on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Devices {
    user_id: UserId,
    known: Vec<Known>,
}

/// A device that a person has signed in on.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Known {
    id: String,
    device: Device,
    last_seen_at: Timestamp,
}

impl Document for Devices {
    const COLLECTION: &'static str = "devices";
    fn key(&self) -> String {
        self.user_id.to_string()
    }
}

/// What is found when someone signs in on a device.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    /// The device's id.
    pub device_id: String,
    /// Whether they never signed in on it before, though they did on others.
    pub is_news: bool,
    /// Whether something is to be kept of it.
    pub has_changed: bool,
}

impl Devices {
    /// Those of a person.
    pub async fn of<C>(cx: &Context<C>, user_id: &str) -> Result<Stored<Self>> {
        let found = cx.get::<Self>(user_id).await?;
        let none = || Stored::new(Self { user_id: user_id.into(), known: Vec::new() });
        Ok(found.unwrap_or_else(none))
    }

    /// The device that holds this token, if it's known.
    pub fn holding(&self, token: Option<&str>, secret: &Secret) -> Option<&str> {
        let (id, seal) = token?.split_once('.')?;
        let made = same_secret(seal_of(&self.user_id, id, secret).as_bytes(), seal.as_bytes());
        self.known.iter().map(|it| it.id.as_str()).find(|it| made && *it == id)
    }

    /// Someone signs in on a device, which may hold a token; `fresh_id` is a new one's.
    ///
    /// Without a token, what is of the same kind and in the same network is
    /// taken for the same: nobody is written to each time that they sign in.
    pub fn see(
        &mut self,
        token: Option<&str>,
        device: &Device,
        fresh_id: String,
        secret: &Secret,
        now: Timestamp,
    ) -> Seen {
        let held = self.holding(token, secret).map(str::to_owned);
        let same = |it: &&mut Known| match &held {
            Some(id) => it.id == *id,
            None => it.device == *device,
        };
        if let Some(known) = self.known.iter_mut().find(same) {
            let is_stale = known.last_seen_at.plus_seconds(SEEN_SECONDS) < now;
            let has_changed = is_stale || known.device != *device;
            if has_changed {
                (known.device, known.last_seen_at) = (device.clone(), now);
            }
            return Seen { device_id: known.id.clone(), is_news: false, has_changed };
        }
        let is_news = !self.known.is_empty();
        self.known.sort_by_key(|it| std::cmp::Reverse(it.last_seen_at));
        self.known.truncate(KNOWN - 1);
        let known = Known { id: fresh_id.clone(), device: device.clone(), last_seen_at: now };
        self.known.push(known);
        Seen { device_id: fresh_id, is_news, has_changed: true }
    }
}

/// What a device holds that a person has signed in on.
pub fn token(user_id: &UserId, device_id: &str, secret: &Secret) -> String {
    format!("{device_id}.{}", seal_of(user_id, device_id, secret))
}

fn seal_of(user_id: &UserId, device_id: &str, secret: &Secret) -> String {
    secret.seal_text("device", &[user_id.as_str(), device_id])
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn secret() -> Secret {
        Secret::new(&[7; 32])
    }

    fn device(name: &str) -> Device {
        Device { name: name.to_owned(), network: Some("203.0.113.0/24".to_owned()) }
    }

    fn none() -> Devices {
        Devices { user_id: "ada".into(), known: Vec::new() }
    }

    #[test]
    fn a_device_is_called_as_people_know_it() {
        let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
        let edge = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like \
            Gecko) Chrome/131.0.0.0 Safari/537.36 Edg/131.0.0.0";
        let safari = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) \
            AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1";
        assert_eq!(name(firefox), "Firefox on Linux");
        assert_eq!(name(edge), "Edge on Windows");
        assert_eq!(name(safari), "Safari on iPhone");
        assert_eq!(name("curl/8.5.0"), "curl");
        assert_eq!((name(""), name("<script>/1")), ("?".to_owned(), "script".to_owned()));
    }

    #[test]
    fn the_first_device_is_no_news_and_each_other_is_once() {
        let mut devices = none();
        let first = devices.see(None, &device("a"), "d1".into(), &secret(), NOW);
        assert_eq!((first.is_news, first.has_changed), (false, true));
        let second = devices.see(None, &device("b"), "d2".into(), &secret(), NOW);
        assert_eq!((second.is_news, second.has_changed), (true, true));
        let again = devices.see(None, &device("b"), "d3".into(), &secret(), NOW);
        let expected = Seen { device_id: "d2".into(), is_news: false, has_changed: false };
        assert_eq!(again, expected);
    }

    #[test]
    fn a_device_is_known_by_its_token_wherever_it_is() {
        let mut devices = none();
        devices.see(None, &device("a"), "d1".into(), &secret(), NOW);
        let token = token(&"ada".into(), "d1", &secret());
        assert_eq!(devices.holding(Some(&token), &secret()), Some("d1"));
        let elsewhere = Device { network: None, ..device("a") };
        let seen = devices.see(Some(&token), &elsewhere, "d2".into(), &secret(), NOW);
        let expected = Seen { device_id: "d1".into(), is_news: false, has_changed: true };
        assert_eq!(seen, expected);
    }

    #[test]
    fn nobody_makes_a_token_or_uses_anothers() {
        let mut devices = none();
        devices.see(None, &device("a"), "d1".into(), &secret(), NOW);
        let eves = token(&"eve".into(), "d1", &secret());
        let forgotten = token(&"ada".into(), "d9", &secret());
        for token in [None, Some("d1"), Some("d1."), Some(&*eves), Some(&*forgotten)] {
            assert_eq!(devices.holding(token, &secret()), None, "{token:?}");
        }
    }

    #[test]
    fn few_devices_are_known_and_the_last_used_stay() {
        let mut devices = none();
        for number in 0..100_i64 {
            let at = NOW.plus_minutes(number);
            devices.see(None, &device(&number.to_string()), number.to_string(), &secret(), at);
        }
        assert_eq!(devices.known.len(), KNOWN);
        assert!(devices.known.iter().all(|it| it.last_seen_at >= NOW.plus_minutes(80)));
    }
}
