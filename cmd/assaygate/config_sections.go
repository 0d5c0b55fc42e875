package main

import (
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/assaygate/assaygate/envelope"
)

// BoxSettings is the `box` section.
type BoxSettings struct {
	Name     string `yaml:"name"`     // "" until it is filled with the host's
	Timezone string `yaml:"timezone"` // IANA name; "": the system's
	Fleet    string `yaml:"fleet"`    // boxes that one signed stick is for; "": none
}

// Validate returns all that is wrong, each error beginning with its key.
func (b BoxSettings) Validate() error {
	return errors.Join(validateName(b.Name), validateZone(b.Timezone), validateFleet(b.Fleet))
}

// validateFleet holds a fleet's name to what a person can type without doubt.
func validateFleet(name string) error {
	if name != "" && !usableName.MatchString(name) {
		return fmt.Errorf("fleet: %q cannot be used; take up to 64 letters, digits, dots, hyphens and underscores, beginning with a letter or digit", name)
	}
	return nil
}

// OwnerSettings is the `owner` section.
type OwnerSettings struct {
	PublicKey string `yaml:"public_key" required:"true"` // as `assaygate owner keygen` prints it
}

// Validate returns all that is wrong, each error beginning with its key.
func (o OwnerSettings) Validate() error {
	if strings.ContainsAny(o.PublicKey, " \t\r\n") {
		return errors.New("public_key: is not one word; write the key as `assaygate owner keygen` prints it")
	}
	return nil
}

// PrivacySettings is the `privacy` section: what may leave the line at all.
type PrivacySettings struct {
	HL7  *HL7Allowlist  `yaml:"hl7"`
	ASTM *ASTMAllowlist `yaml:"astm"`
}

// HL7Allowlist names the fields that stay, by segment.
type HL7Allowlist struct {
	Allow         map[string][]int `yaml:"allow" required:"true"`
	DropUnmatched bool             `yaml:"drop_unmatched_segments"`
}

// SetDefaults makes what is not named go: an allowlist that forgets a segment
// must not let patients' names pass.
func (a *HL7Allowlist) SetDefaults() { a.DropUnmatched = true }

var segmentName = regexp.MustCompile(`^[A-Z][A-Z0-9]{2}$`)

// Validate returns all that is wrong, each error beginning with its key.
func (a HL7Allowlist) Validate() error {
	return validateAllowed(a.Allow, segmentName, "the name of a segment, such as OBX")
}

// ASTMAllowlist names the fields that stay, by record type.
type ASTMAllowlist struct {
	Allow         map[string][]int `yaml:"allow" required:"true"`
	DropUnmatched bool             `yaml:"drop_unmatched_records"`
}

// SetDefaults makes what is not named go, as for HL7.
func (a *ASTMAllowlist) SetDefaults() { a.DropUnmatched = true }

var recordType = regexp.MustCompile(`^[A-Z]$`)

// Validate returns all that is wrong, each error beginning with its key.
func (a ASTMAllowlist) Validate() error {
	return validateAllowed(a.Allow, recordType, "the letter of a record, such as R")
}

func validateAllowed(allow map[string][]int, usable *regexp.Regexp, wanted string) error {
	var errs []error
	if len(allow) == 0 {
		errs = append(errs, errors.New("allow: names nothing, so that nothing would be left; name what may stay"))
	}
	for _, name := range sortedKeys(allow) {
		if !usable.MatchString(name) {
			errs = append(errs, fmt.Errorf("allow.%s: is not %s", name, wanted))
			continue
		}
		for i, field := range allow[name] {
			if field < 1 {
				errs = append(errs, fmt.Errorf("allow.%s[%d]: %d is not the number of a field; the first is 1", name, i, field))
			}
		}
	}
	return errors.Join(errs...)
}

// Allowlist is the section in the envelope's terms.
func (p PrivacySettings) Allowlist() envelope.Allowlist {
	var list envelope.Allowlist
	if p.HL7 != nil {
		list.HL7 = &envelope.Allowed{Fields: p.HL7.Allow, DropUnmatched: p.HL7.DropUnmatched}
	}
	if p.ASTM != nil {
		list.ASTM = &envelope.Allowed{Fields: p.ASTM.Allow, DropUnmatched: p.ASTM.DropUnmatched}
	}
	return list
}

// TLSSettings name the files of a TLS listener; its zero value means no TLS.
type TLSSettings struct {
	Certificate string `yaml:"certificate"` // "": the box's own
	Key         string `yaml:"key"`
	ClientCA    string `yaml:"client_ca"` // who may connect; "": anybody
}

// Validate returns all that is wrong, each error beginning with its key.
func (t TLSSettings) Validate() error {
	switch {
	case t.Certificate == "" && t.Key != "":
		return errors.New("certificate: missing; a key needs its certificate")
	case t.Certificate != "" && t.Key == "":
		return errors.New("key: missing; a certificate needs its key")
	}
	return nil
}

// AdminSettings is the `admin` section: health and counters.
type AdminSettings struct {
	Listen    string      `yaml:"listen"` // "": none
	AllowFrom []Network   `yaml:"allow_from"`
	TokenFile string      `yaml:"token_file"`
	TLS       TLSSettings `yaml:"tls"`
}

// Validate returns all that is wrong, each error beginning with its key.
func (a AdminSettings) Validate() error {
	if a.Listen == "" {
		return nil
	}
	return validateListen(a.Listen)
}

// DriveSettings is the `config_drive` section: the USB stick.
type DriveSettings struct {
	Directory     string        `yaml:"directory" required:"true"` // where a stick is mounted
	ConfirmWithin time.Duration `yaml:"confirm_within"`
	// WriteRequest is the file that asks the system to make the stick writable,
	// for as long as it is there; "" where it is writable.
	WriteRequest string `yaml:"write_request"`
}

// SetDefaults fills what the file need not say.
func (d *DriveSettings) SetDefaults() { d.ConfirmWithin = 10 * time.Minute }

// Validate returns all that is wrong, each error beginning with its key.
func (d DriveSettings) Validate() error {
	if d.ConfirmWithin < 10*time.Second || d.ConfirmWithin > 24*time.Hour {
		return fmt.Errorf("confirm_within: %s is not between 10s and 24h", d.ConfirmWithin)
	}
	return nil
}

// LogSettings is the `log` section.
type LogSettings struct {
	Level  string `yaml:"level" allowed:"debug,info,warn,error"`
	Format string `yaml:"format" allowed:"json,text"`
}

func (l LogSettings) slogLevel() slog.Level {
	switch l.Level {
	case "debug":
		return slog.LevelDebug
	case "warn":
		return slog.LevelWarn
	case "error":
		return slog.LevelError
	}
	return slog.LevelInfo
}

// sortedKeys makes what is said of a map come in the same order each time.
func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
