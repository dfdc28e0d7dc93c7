//! `callgate check` as users run it, and as the tables of rules expect it.

mod cases;
mod tables;
