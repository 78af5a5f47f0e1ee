//! The ports on Google's engines: documents in Firestore, events over Pub/Sub,
//! files in Cloud Storage, keys and identity from the platform.
