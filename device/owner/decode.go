package owner

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// decode reads the JSON of a manifest token by token: encoding/json alone takes
// the last of two equal keys, and keys in any case, so that two readers could
// see two manifests under one signature.
func decode(data []byte) (Manifest, error) {
	if !utf8.Valid(data) {
		return Manifest{}, errors.New("it is not UTF-8")
	}
	m := Manifest{files: map[string][32]byte{}}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	keys, err := object(d, func(key string) error {
		switch key {
		case "revision":
			return m.decodeRevision(d)
		case "serials":
			return m.decodeSerials(d)
		case "fleet":
			return decodeText(d, &m.Fleet)
		case "files":
			_, err := object(d, func(name string) error { return m.decodeFile(d, name) })
			return err
		}
		return fmt.Errorf("unknown key %q; known are revision, serials, fleet and files", key)
	})
	if err != nil {
		return Manifest{}, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return Manifest{}, errors.New("something follows the manifest")
	}
	for _, needed := range []string{"revision", "files"} {
		if !slices.Contains(keys, needed) {
			return Manifest{}, fmt.Errorf("%s is missing", needed)
		}
	}
	return m, m.valid()
}

// object reads a JSON object and calls value for each key, which reads what
// belongs to it. It returns the keys.
func object(d *json.Decoder, value func(key string) error) ([]string, error) {
	if err := delimiter(d, '{'); err != nil {
		return nil, err
	}
	var keys []string
	seen := map[string]bool{}
	for d.More() {
		token, err := d.Token()
		key, is := token.(string)
		if err != nil || !is {
			return nil, notJSON(err)
		}
		if seen[key] {
			return nil, fmt.Errorf("the key %q is there twice", key)
		}
		if seen[key] = true; len(seen) > maxFiles {
			return nil, fmt.Errorf("it lists more than %d files", maxFiles)
		}
		keys = append(keys, key)
		if err := value(key); err != nil {
			return nil, err
		}
	}
	return keys, delimiter(d, '}')
}

func delimiter(d *json.Decoder, want json.Delim) error {
	token, err := d.Token()
	if err != nil {
		return notJSON(err)
	}
	if token != want {
		return fmt.Errorf("it has %v where %v is expected", token, want)
	}
	return nil
}

func notJSON(err error) error {
	if errors.Is(err, io.EOF) || err == nil {
		return errors.New("it ends too early")
	}
	return fmt.Errorf("it is not JSON: %w", err)
}

func decodeText(d *json.Decoder, to *string) error {
	token, err := d.Token()
	if err != nil {
		return notJSON(err)
	}
	text, is := token.(string)
	if !is || text == "" {
		return fmt.Errorf("it has %v where a text is expected", token)
	}
	*to = text
	return nil
}

func (m *Manifest) decodeRevision(d *json.Decoder) error {
	token, err := d.Token()
	if err != nil {
		return notJSON(err)
	}
	number, _ := token.(json.Number)
	if m.Revision, err = strconv.ParseUint(string(number), 10, 64); err != nil {
		return errors.New("the revision must be a whole number")
	}
	return nil
}

func (m *Manifest) decodeSerials(d *json.Decoder) error {
	if err := delimiter(d, '['); err != nil {
		return err
	}
	for d.More() {
		var serial string
		if err := decodeText(d, &serial); err != nil {
			return err
		}
		if m.Serials = append(m.Serials, serial); len(m.Serials) > maxSerials {
			return fmt.Errorf("it lists more than %d serial numbers; use a fleet name", maxSerials)
		}
	}
	if m.Serials == nil {
		// "For no box" would be read as "for every box".
		return errors.New("serials is empty; leave it out when every box is meant")
	}
	return delimiter(d, ']')
}

func (m *Manifest) decodeFile(d *json.Decoder, name string) error {
	var text string
	if err := decodeText(d, &text); err != nil {
		return err
	}
	var sum [32]byte
	if len(text) != hex.EncodedLen(len(sum)) || text != strings.ToLower(text) {
		return fmt.Errorf("%q has no SHA-256 of 64 lower-case hexadecimal digits", name)
	}
	if _, err := hex.Decode(sum[:], []byte(text)); err != nil {
		return fmt.Errorf("%q has no SHA-256 of 64 lower-case hexadecimal digits", name)
	}
	m.files[name] = sum
	return nil
}

// fold is a name as FAT compares it.
func fold(name string) string { return strings.ToLower(strings.ToUpper(name)) }

// checkPath takes only paths that name one file below the stick's root, on every
// system and in one spelling.
func checkPath(name string) error {
	const maxPath = 255
	switch {
	case name == "" || len(name) > maxPath:
		return fmt.Errorf("a path must have 1 to %d bytes", maxPath)
	case strings.ContainsAny(name, "\\:\x00"):
		return fmt.Errorf("%q: a path is written with slashes, without backslash and colon", name)
	case strings.HasPrefix(name, "/"):
		return fmt.Errorf("%q: a path must not begin with a slash", name)
	case name == ".." || strings.HasPrefix(path.Clean(name), "../"):
		return fmt.Errorf("%q leaves the stick", name)
	case path.Clean(name) != name || name == ".":
		return fmt.Errorf("%q: write the path as %q", name, path.Clean(name))
	case strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }):
		return fmt.Errorf("%q: a path must consist of printable characters", name)
	case fold(name) == ManifestName || fold(name) == SignatureName:
		return fmt.Errorf("%q cannot sign itself", name)
	}
	for part := range strings.SplitSeq(name, "/") {
		if strings.HasSuffix(part, ".") || strings.TrimSpace(part) != part {
			return fmt.Errorf("%q: FAT drops dots and blanks at the end of a name; rename it", name)
		}
	}
	return nil
}

// checkWord takes only what can stand in one line of a report.
func checkWord(what, word string) error {
	bad := func(r rune) bool { return !unicode.IsPrint(r) || r == utf8.RuneError }
	if word == "" || len(word) > maxWord || strings.TrimSpace(word) != word || strings.ContainsFunc(word, bad) {
		return fmt.Errorf("%q is no %s; it has 1 to %d printable bytes, without blanks around it", word, what, maxWord)
	}
	return nil
}
