//! `callgate check` and `callgate test` as users run them, and as the tables of rules expect it.

mod cases;
mod junit;
mod suites;
mod tables;
mod threads;
