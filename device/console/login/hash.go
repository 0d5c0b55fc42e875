package login

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

// What a new hash costs: the least that OWASP's cheat sheet on password storage
// allows, for the smallest box is a Pi Zero with one core and 512 MB. 19 MiB of
// memory, passed over twice, one lane.
const (
	newMemory = 19456 // KiB
	newPasses = 2
	newLanes  = 1
	newSalt   = 16 // bytes
	newKey    = 32 // bytes
)

// Other hashes are taken within these bounds: below them they protect too little,
// above them one login would take a Pi Zero's memory, or a minute of its time.
const (
	leastMemory, mostMemory = 4096, 65536 // KiB
	mostPasses              = 16
	mostLanes               = 4
	mostWork                = 4 * mostMemory // KiB times passes
	leastSalt, mostSalt     = 8, 64          // bytes
	leastKey, mostKey       = 16, 64         // bytes
	longestHash             = 300            // characters
)

// Hash is an argon2id hash of a password (RFC 9106, version 0x13).
type Hash struct {
	memory, passes uint32
	lanes          uint8
	salt, key      []byte
}

// NewHash hashes a password with a fresh salt. It takes 19 MiB for a moment: half
// a tenth of a second on a computer, a second or two on a Pi Zero.
func NewHash(password string) Hash {
	h := Hash{memory: newMemory, passes: newPasses, lanes: newLanes, salt: make([]byte, newSalt)}
	rand.Read(h.salt) // it never fails
	h.key = h.of(password, newKey)
	return h
}

// ParseHash reads a hash in the PHC string form, which String writes:
//
//	$argon2id$v=19$m=19456,t=2,p=1$SALT$KEY
//
// with salt and key in base64 without padding. Its errors say what is wrong
// without repeating the hash.
func ParseHash(text string) (Hash, error) {
	const form = "a hash is one line, as `assaygate console-password` prints it"
	if len(text) > longestHash {
		return Hash{}, fmt.Errorf("is longer than %d characters; %s", longestHash, form)
	}
	parts := strings.Split(text, "$")
	if len(parts) < 2 || parts[0] != "" {
		return Hash{}, errors.New("does not begin with $argon2id$; " + form)
	}
	if parts[1] != "argon2id" {
		return Hash{}, errors.New("is no argon2id hash; " + form)
	}
	if len(parts) != 6 {
		return Hash{}, fmt.Errorf("has %d parts between its $ and not 5; %s", len(parts)-1, form)
	}
	if parts[2] != "v=19" {
		return Hash{}, errors.New("is not of version 19 of argon2id; " + form)
	}
	h, err := parseCost(parts[3])
	if err != nil {
		return Hash{}, err
	}
	if h.salt, err = decode("salt", parts[4], leastSalt, mostSalt); err != nil {
		return Hash{}, err
	}
	if h.key, err = decode("key", parts[5], leastKey, mostKey); err != nil {
		return Hash{}, err
	}
	return h, nil
}

// parseCost reads m=MEMORY,t=PASSES,p=LANES.
func parseCost(text string) (Hash, error) {
	var values [3]uint64
	parts := strings.Split(text, ",")
	if len(parts) != 3 {
		return Hash{}, errors.New("does not say m, t and p, such as m=19456,t=2,p=1")
	}
	for i, bounds := range []struct {
		name        string
		least, most uint64
	}{{"m", leastMemory, mostMemory}, {"t", 1, mostPasses}, {"p", 1, mostLanes}} {
		digits, is := strings.CutPrefix(parts[i], bounds.name+"=")
		value, err := strconv.ParseUint(digits, 10, 32)
		switch {
		case !is || err != nil || strconv.FormatUint(value, 10) != digits:
			return Hash{}, errors.New("does not say m, t and p, such as m=19456,t=2,p=1")
		case value < bounds.least || value > bounds.most:
			return Hash{}, fmt.Errorf("has %s=%d, which is not between %d and %d", bounds.name, value, bounds.least, bounds.most)
		}
		values[i] = value
	}
	if values[0]*values[1] > mostWork {
		return Hash{}, fmt.Errorf("has m=%d and t=%d, which is more work than a box should have with one login; m times t is at most %d", values[0], values[1], mostWork)
	}
	return Hash{memory: uint32(values[0]), passes: uint32(values[1]), lanes: uint8(values[2])}, nil
}

// strict refuses what has two spellings.
var strict = base64.RawStdEncoding.Strict()

func decode(what, text string, least, most int) ([]byte, error) {
	data, err := strict.DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") {
		return nil, fmt.Errorf("has a %s that is not base64 without padding; was a part of it lost in copying?", what)
	}
	if len(data) < least || len(data) > most {
		return nil, fmt.Errorf("has a %s of %d bytes, which is not between %d and %d; was a part of it lost in copying?", what, len(data), least, most)
	}
	return data, nil
}

// String writes the hash in the PHC string form.
func (h Hash) String() string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, h.memory, h.passes, h.lanes,
		strict.EncodeToString(h.salt), strict.EncodeToString(h.key))
}

// Matches reports whether it is the hash of the password. It takes as long as
// making it did.
func (h Hash) Matches(password string) bool {
	return subtle.ConstantTimeCompare(h.of(password, len(h.key)), h.key) == 1
}

func (h Hash) of(password string, length int) []byte {
	return argon2.IDKey([]byte(password), h.salt, h.passes, h.memory, h.lanes, uint32(length))
}
