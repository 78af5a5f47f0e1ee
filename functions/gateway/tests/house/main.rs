//! The whole house, as its users and its neighbors see it: the built server,
//! talked to over HTTP. One program, so that it's linked once.

mod access;
mod bad_input;
mod command;
mod crash;
mod declarations;
mod dependencies;
mod deployment;
mod discretion;
mod erasure;
mod events;
mod foreign_tokens;
mod front;
mod gateway_document;
mod issuers;
mod journey;
mod main_job;
mod race;
mod readme;
mod school;
mod seats;
mod storms;
mod support;
mod tokens;
