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
// A message gets an accept acknowledgement, an application acknowledgement, both
// or none. [Mode.Answers] tells which, [Ack] writes each of them.
//
//	outcome                                  accept  application  the caller's duty
//	message stored                           CA      AA           only after it is durable
//	message understood, storing failed       CE      AE           the sender keeps it and sends it again
//	message type or event not accepted       CR      AR           ERR-3 is 200 or 201
//	no readable MSH                          CR      AR           MSA-2 is empty
//
// Which mode holds is said by MSH-15 and MSH-16 of each message; a line can fix
// it, for senders whose fields do not say what they expect. "-" is a field that
// is absent, empty or null (two quotation marks), "?" a value that is not in
// table HL70155, "x" one that is.
//
//	MSH-15  MSH-16  Auto               Original     Enhanced
//	-, ?    -, ?    application        application  accept
//	x       -, ?    as MSH-15, MSH-16  application  as MSH-15, MSH-16
//	-, ?    x       as MSH-15, MSH-16  application  as MSH-15, MSH-16
//	x       x       as MSH-15, MSH-16  application  as MSH-15, MSH-16
//
// MSH-15 rules the accept acknowledgement, MSH-16 the application
// acknowledgement, each by itself:
//
//	value   stored   storing failed, not accepted
//	AL, ?   sent     sent
//	NE, -   -        -
//	ER      -        sent
//	SU      sent     -
//
// So NE and AL, which IHE LAW asks for, is one application acknowledgement; AL
// and AL is an accept acknowledgement and then an application acknowledgement;
// NE and NE is nothing at all, and then a message that is not stored cannot be
// told of: the caller ends the connection ([Answers.None]).
//
// The standard (version 2.3 to 2.8, MSH-15 and MSH-16) defines both fields as
// the conditions under which an acknowledgement is required, and original mode
// by both of them being omitted or null; it has no rule for one of two. What is
// not said requires nothing, so one that is empty beside the other is NE. An
// unknown value asks for nothing that is known, but must not leave its sender
// without an answer: it does not choose the mode (Mindray's analysers write the
// kind of result, 0, 1 or 2, into MSH-16 and expect AA), and in enhanced mode it
// is AL.
//
// An application acknowledgement behind an accept acknowledgement is a message
// of its own, with its own control ID, which could ask for an acknowledgement
// in turn. Answers of enhanced mode say NE in MSH-15 and MSH-16, so that none is
// due.
//
// What the answer takes from the request:
//
//	MSH-1, MSH-2    as received
//	MSH-3 to MSH-6  sender and receiver exchanged
//	MSH-9           ACK^trigger^ACK, up to version 2.3 ACK^trigger; for OML^O33
//	                the application acknowledgement is ORL^O34^ORL_O34
//	MSH-10          the caller's own
//	MSH-11, 12, 18  as received
//	MSH-15, 16      NE in enhanced mode, else empty
//	MSH-21          as received in enhanced mode, else empty
//	MSA-2           the bytes of MSH-10 as received, whatever they are
//	MSA-3           the caller's words, up to version 2.6; then ERR-8 has them
//	ERR             ERR-2, 3, 4 and 8 from version 2.5 on, ERR-1 below
//
// The answer to OML^O33 repeats PID, SPM and SAC as received. Each of its ORC
// segments carries OK or UA (unable to accept) and the order numbers ORC-2 and
// ORC-3; a cancelled order gets CR or UC.
//
// [AppendQueryResponse] answers queries, which are not acknowledged otherwise.
package hl7
