package profile

import (
	"regexp"
	"slices"
	"strings"

	"github.com/assaygate/assaygate/envelope"
)

// profile is one definition, laid over the generic one of its protocol and
// ready for use. docs/profiles.md describes the language of the files.
type profile struct {
	name     string
	protocol envelope.Protocol
	title    string
	version  string // metadata.version
	headerRx string // metadata.header_rx; text only, recognition is by match
	generic  bool
	own      bool // from the user's directory: it wins over a built-in one that fits as well
	match    []matcher
	quirks   Quirks
	charset  string              // of its messages; "" for the protocol's rules
	buckets  map[string]string   // HL7: the bucket's letter by segment
	fields   map[string][]*field // by record; element n is field n, nil where it has no name
	plot     *plot
	results  [partCount][]location // where to look, in this order
	kinds    []kindRule
}

// field says what a field of a record becomes.
type field struct {
	name       string
	kind       fieldType
	value      string   // of an empty field, where preset
	preset     bool     // an empty field is not null
	constant   bool     // any other text than value is a problem
	allowed    []string // the values that are known; others are kept all the same
	prefer     []int    // significant: the components to look at first
	components []*field // an object of these
	repeats    []*field // a list of objects of these
	at         string   // its place, as problems name it: R.3.4
}

// fieldType says how a field's text is read.
type fieldType string

const (
	typeText        fieldType = "text"        // as it is
	typeNumber      fieldType = "number"      // a whole number, without leading zeros
	typeDate        fieldType = "date"        // YYYYMMDD
	typeTime        fieldType = "time"        // YYYYMMDD[HH[MM[SS]]], completed to 14 digits
	typeSignificant fieldType = "significant" // the component that carries the meaning
	typeUnit        fieldType = "unit"        // the code of a coded unit
	typePassthrough fieldType = "passthrough" // text, components as a list, repeats as a list of lists
	typeJSONList    fieldType = "json list"   // text that holds a JSON list of the components
	typeStream      fieldType = "stream"      // numbers, packed
)

// fieldTypes are all of them.
var fieldTypes = []string{
	string(typeText), string(typeNumber), string(typeDate), string(typeTime),
	string(typeSignificant), string(typeUnit), string(typePassthrough), string(typeJSONList), string(typeStream),
}

// now is the preset of a time that is the message's own: when it was received.
const now = "now"

// kindRule gives a kind to messages, or to results where its field is one of R
// or OBX.
type kindRule struct {
	kind envelope.Kind
	at   location
	condition
}

// condition is what a text must be, without the blanks around it: one of a list,
// whatever its case, or match an expression.
type condition struct {
	is []string
	rx *regexp.Regexp
}

func (c condition) holds(text string) bool {
	if text = strings.TrimSpace(text); c.rx != nil {
		return c.rx.MatchString(text)
	}
	return slices.ContainsFunc(c.is, func(one string) bool { return strings.EqualFold(one, text) })
}

// matcher is one condition of `match`.
type matcher struct {
	at   location
	rank int // 2 for the sender (H-5, MSH-3, MSH-4), 1 for any other place
	condition
}

// rankOf tells how much a match at a place says about the sender.
func rankOf(at location) int {
	switch {
	case at.record == "H" && at.field == 5, at.record == "MSH" && (at.field == 3 || at.field == 4):
		return 2
	}
	return 1
}

// part is something that a definition's `results` locates.
type part int

const (
	partSample part = iota
	partTest
	partName
	partValue
	partUnits
	partRange
	partFlags
	partStatus
	partObservedAt
	partComment
	partCount
)

// partNames are the names of the parts in definitions.
var partNames = [partCount]string{"sample", "test", "name", "value", "units", "reference_range", "flags", "status", "observed_at", "comment"}

// isComment reports whether records of this name hold remarks on what stands
// above them.
func isComment(record string) bool { return record == "C" || record == "NTE" }

// isResult reports whether records of this name carry one result each.
func isResult(record string) bool { return record == "R" || record == "OBX" }
