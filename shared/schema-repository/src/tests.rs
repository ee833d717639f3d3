mod faults;
mod golden;
mod primary;
