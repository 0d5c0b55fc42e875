package hl7

import "bytes"

// The query response status codes (QAK-2, table HL70208).
const (
	DataFound   = "OK"
	NoDataFound = "NF"
	QueryError  = "AE" // the query itself is wrong
	QueryReject = "AR"
)

// QueryResponse is what the caller knows of the response to a query. The rest
// of it is taken from the query.
type QueryResponse struct {
	Status    string // QAK-2
	ControlID string // MSH-10 of the response
	Time      string // MSH-7 of the response, formatted
	Enhanced  bool   // it belongs to enhanced mode: see [Answers]
}

// displayTag is the QAK-1 that analysers which ask by QRY^Q02 look for: sample
// request. QRY has no query tag that could be repeated.
const displayTag = "SR"

// IsQuery reports whether [AppendQueryResponse] answers such messages: QBP with
// every event, and QRY^Q02 of version 2.3. Of the message no more than MSH is
// needed.
func IsQuery(m Message) bool {
	code, trigger, _ := MessageType(m)
	return code == "QBP" || code == "QRY" && trigger == "Q02"
}

// AppendQueryResponse appends the response to a query without the data that were
// asked for: an answer that says whether there are any.
//
//	QBP^Qnn   RSP^Knn^RSP_Knn  MSH MSA [ERR] QAK QPD
//	QRY^Q02   QCK^Q02          MSH MSA ERR QAK
//
// QAK-1 and QAK-3 are the query's QPD-2 and QPD-1, QPD and MSH-21 are repeated as
// received: so IHE LAW has it for LAB-27. QBP^Q13 and Q15 get RTB^K13 and
// RDY^K15; a QBP with an event of somebody's own, which tells nothing of its
// response, gets RSP^K11. A QBP without QPD gets QueryError and error 100,
// whatever the caller says.
//
// QCK is written as the host interface of Mindray's BS analysers has it, and the
// others that ask like them: QAK-1 is SR, and ERR-1 and MSA-6 are 0, for no
// error.
func AppendQueryResponse(dst, query []byte, response QueryResponse) []byte {
	m, err := Parse(query)
	if err != nil {
		m = Message{Delimiters: DefaultDelimiters()}
	}
	r := reply{Delimiters: m.Delimiters, out: dst}
	a := Acknowledgment{Code: Accept, ControlID: response.ControlID, Time: response.Time, Enhanced: response.Enhanced}
	if code, trigger, _ := MessageType(m); code == "QRY" {
		r.header(m, err == nil, a, r.components("QCK", trigger))
		r.display(m, response.Status)
		return r.out
	}
	qpd := m.First("QPD")
	if qpd.Raw == nil {
		response.Status = QueryError
		a.Err = &ErrorDetail{Location: "QPD^1", Code: CodeSequence}
	}
	switch response.Status {
	case QueryError, QueryReject:
		a.Code = response.Status
	}
	a.profiled = true
	r.header(m, err == nil, a, r.responseType(m))
	r.msa(m, a)
	if a.Err != nil {
		r.err(*a.Err, version(m) >= modernErr || err != nil)
	}
	r.segment("QAK", oneLine(qpd.Field(2)), []byte(response.Status), oneLine(qpd.Field(1)))
	if qpd.Raw != nil {
		r.copied(qpd)
	}
	return r.out
}

// responseType returns MSH-9 of the response to a QBP.
func (r *reply) responseType(m Message) []byte {
	trigger := messageType(m)[1]
	number := "11"
	if len(trigger) == 3 && trigger[0] == 'Q' && len(bytes.Trim(trigger[1:], "0123456789")) == 0 {
		number = string(trigger[1:])
	}
	code := "RSP"
	switch number {
	case "13":
		code = "RTB"
	case "15":
		code = "RDY"
	}
	return r.components(code, "K"+number, string(r.text(code+"_K"+number)))
}

// display writes what stands behind MSH in QCK.
func (r *reply) display(m Message, status string) {
	code, text, number := []byte(Accept), []byte("Message accepted"), []byte("0")
	id := m.First("MSH").Field(10)
	if bytes.IndexByte(id, lf) >= 0 {
		text = nil // as in msa
	}
	r.segment("MSA", code, id, text, nil, nil, number)
	r.segment("ERR", number)
	r.segment("QAK", []byte(displayTag), []byte(status))
}
