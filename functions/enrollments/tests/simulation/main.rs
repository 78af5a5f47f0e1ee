//! The laws of seats, held against chance and against every order there is.

mod storms;
