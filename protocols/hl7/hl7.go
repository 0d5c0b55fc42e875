// Package hl7 implements HL7 version 2 messages in their ER7 encoding:
// segments, fields, repetitions, components and subcomponents, and the
// acknowledgement. It is pure: functions over bytes, no I/O and no clock.
//
// The first segment, MSH, declares the delimiters:
//
//	MSH|^~\&|...   MSH-1 is the byte after MSH; MSH-2 is component, repetition,
//	               escape and subcomponent delimiter
//
// Nothing is decoded on splitting: a field keeps its exact bytes, and
// [Unescape] comes last. A field that was not sent is nil, one that was sent
// empty is not, and "" (two quotation marks: the value is to be deleted) is
// text like any other.
//
// Reading is tolerant, because instruments are not: see [Parse] for what may
// stand between, before and after segments. [Parts] takes blocks of several
// messages apart, with or without the batch protocol (FHS, BHS, BTS, FTS).
//
// # Acknowledgement
//
// [Ack] answers in original mode: one application acknowledgement for each
// message, whatever MSH-15 and MSH-16 say.
//
//	case                                MSA-1  the caller's duty
//	message stored                      AA     only after it is durable
//	message understood, storing failed  AE     the sender keeps it and sends it again
//	message type not accepted           AR     ERR-3 is 200 or 201
//	no readable MSH                     AR     MSA-2 is empty
//
// What the answer takes from the request:
//
//	MSH-1, MSH-2    as received
//	MSH-3 to MSH-6  sender and receiver exchanged
//	MSH-9           ACK^trigger^ACK; ORL^O34^ORL_O34 for OML^O33
//	MSH-10          the caller's own
//	MSH-11, 12, 18  as received
//	MSA-2           the bytes of MSH-10 as received, whatever they are
//	ERR             ERR-2, 3, 4 and 8 from version 2.5 on, ERR-1 below
//
// The answer to OML^O33 repeats PID, SPM and SAC as received. Each of its ORC
// segments carries OK or UA (unable to accept) and the order numbers ORC-2 and
// ORC-3; a cancelled order gets CR or UC.
package hl7
