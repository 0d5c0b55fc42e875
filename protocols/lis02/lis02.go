// Package lis02 implements CLSI LIS02-A2 (ASTM E1394), the messages that
// laboratory instruments and computers exchange: records, fields, repeats and
// components. It is pure: functions over bytes, no I/O and no clock.
//
// A message goes from its Header record (H) to its Terminator record (L):
//
//	H|\^&|||sender|...     declares the delimiters: field, repeat, component, escape
//	P|1|...                Patient
//	O|1|sample|...         Order
//	R|1|^^^test|5.9|%|...  Result
//	C|1|I|...              Comment on the record before it
//	L|1|N                  Terminator
//
// Records end in CR. Fields count from 1, and field 1 is the type letter.
// Nothing is decoded on splitting: a field keeps its exact bytes, and
// [Unescape] comes last.
//
// Reading is tolerant, because instruments are not: letters that the standard
// does not know are kept, record types may be small letters, blanks before a
// record are cut off, empty records are skipped. Where a text has no CR at all,
// LF ends its records; else it does where only a record can follow
// ([OpensRecord]), and is data elsewhere. Sequence numbers are not looked at.
package lis02
