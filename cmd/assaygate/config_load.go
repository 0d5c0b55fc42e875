package main

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/assaygate/assaygate/device/config"
	"github.com/assaygate/assaygate/device/console"
	"github.com/assaygate/assaygate/device/owner"
	"github.com/assaygate/assaygate/envelope"
	"github.com/assaygate/assaygate/envelope/spool"
)

// systemConfig is read where no flag names another file or says more.
const systemConfig = "/etc/assaygate/assaygate.yaml"

//go:embed default.yaml
var defaultConfig []byte

// flags are what the command line says over the file.
type flags struct {
	Config             string // the file
	Factory            string // the file that stands for it while there is none
	ASTM, HL7, Emerald string // addresses to listen on
	URL, CaptureOnly   string // where messages go
	Data               string // directory of store and captures
	Admin, Console     string // addresses to listen on
}

// loadConfig brings together the defaults, the file and the flags, in this
// order, and validates the whole. Without a file named, flags stand alone: then
// /etc is not read and only what they name listens. Its error is config.Errors
// where the file could be read. The warnings are for a person.
func loadConfig(f flags) (Config, []string, error) { return loadConfigFrom(systemConfig, f) }

func loadConfigFrom(system string, f flags) (Config, []string, error) {
	path, err := f.file(system)
	if err != nil {
		return Config{}, nil, err
	}
	var document *config.Document
	if path == "" {
		document, err = parseDocument(defaultConfig, "built-in defaults")
	} else {
		document, err = config.Load(path)
	}
	if err != nil {
		return Config{}, nil, err
	}
	return f.compose(document)
}

// file is the file that is the configuration now, "" for the built-in one.
func (f flags) file(system string) (string, error) {
	path := f.Config
	if path == "" && !f.alone() {
		path = system
	}
	if path == "" || f.Config != "" && f.Factory == "" {
		return path, nil
	}
	switch _, err := os.Stat(path); {
	case err == nil:
		return path, nil
	case !errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("read configuration: %w", err)
	}
	return f.Factory, nil
}

// alone reports whether the flags stand without a file.
func (f flags) alone() bool {
	return f != flags{Config: f.Config, Factory: f.Factory} && f.Config == ""
}

// compose lays a file under the flags and over the defaults.
func (f flags) compose(document *config.Document) (Config, []string, error) {
	alone := f.alone()
	if alone {
		document.Delete("instruments")
	}
	warnings, err := f.apply(document)
	if err != nil {
		return Config{}, nil, err
	}
	c, err := decodeConfig(document)
	if err != nil {
		return Config{}, nil, err
	}
	f.keepPlaces(&c)
	if alone && f.Admin == "" {
		c.Admin = AdminSettings{}
	}
	if alone && f.Console == "" {
		c.Console = console.Settings{}
	}
	for _, warning := range c.warnings() {
		warnings = append(warnings, warning.Error())
	}
	return c, warnings, nil
}

// keepPlaces has a box keep its store where the factory's configuration says, and
// ask for writing to its stick as that says, where its own does not say: else the
// store would be looked for where nothing can be written, and no report would come
// to a stick that is mounted for reading, nor a password be taken off it.
func (f flags) keepPlaces(c *Config) {
	if f.Factory == "" {
		return
	}
	document, err := config.Load(f.Factory)
	if err != nil {
		return // whoever needs the factory's configuration says what is wrong with it
	}
	factory, err := decodeConfig(document)
	if err != nil {
		return
	}
	if !c.document.Has("spool.directory") {
		c.Spool.Directory = factory.Spool.Directory
	}
	own, asks := c.ConfigDrive, factory.ConfigDrive
	if own != nil && asks != nil && own.Directory == asks.Directory && !c.document.Has("config_drive.write_request") {
		drive := *own
		drive.WriteRequest = asks.WriteRequest
		c.ConfigDrive = &drive
	}
}

// parseConfig reads a configuration that is not in a file. Its error is
// config.Errors.
func parseConfig(data []byte, name string) (Config, error) {
	document, err := parseDocument(data, name)
	if err != nil {
		return Config{}, err
	}
	return decodeConfig(document)
}

// parseDocument makes an error of config.Errors, of which a nil one would not
// be nil as an error.
func parseDocument(data []byte, name string) (*config.Document, error) {
	document, errs := config.Parse(data, name)
	if errs != nil {
		return nil, errs
	}
	return document, nil
}

// decodeConfig lays the document over the defaults. A file that names no
// instruments or destinations has none: a port that nobody asked for must not
// open.
func decodeConfig(document *config.Document) (Config, error) {
	c := Config{Spool: spool.Defaults(), Console: console.Defaults()}
	if errs := config.Decode(defaultConfig, "built-in defaults", &c); errs != nil {
		return Config{}, errs
	}
	c.Instruments, c.Destinations, c.document = nil, nil, document
	if errs := document.Decode(&c); errs != nil {
		return Config{}, errs
	}
	if c.Box.Name == "" {
		c.Box.Name = hostName()
	}
	c.settle()
	return c, nil
}

// hostName is the host's name as far as it can name a box.
func hostName() string {
	name, err := os.Hostname()
	if err != nil || validateName(name) != nil || name == "" {
		return "assaygate"
	}
	return name
}

// apply writes the flags into the document, so that they are decoded, judged
// and named in errors as the file is.
func (f flags) apply(document *config.Document) (warnings []string, err error) {
	for _, line := range []struct{ flag, key, address string }{
		{"--astm", lineASTM, f.ASTM}, {"--hl7", lineHL7, f.HL7}, {"--emerald", lineEmerald, f.Emerald},
	} {
		if line.address == "" {
			continue
		}
		deleteItems(document, "instruments", line.key)
		err = errors.Join(err, document.Set(line.flag, appended(document, "instruments"), map[string]any{
			"name": line.key, line.key: map[string]string{"listen": line.address},
		}))
	}
	for _, one := range []struct{ flag, path, value string }{
		{"--admin", "admin.listen", f.Admin}, {"--console", "console.listen", f.Console},
	} {
		if one.value != "" {
			err = errors.Join(err, document.Set(one.flag, one.path, one.value))
		}
	}
	warning, failed := f.applyDestinations(document)
	if warning != "" {
		warnings = append(warnings, warning)
	}
	return warnings, errors.Join(err, failed)
}

func (f flags) applyDestinations(document *config.Document) (warning string, err error) {
	if f.URL != "" {
		lims, hasPassword, err := limsOf(f.URL)
		if err != nil {
			return "", err
		}
		if hasPassword {
			warning = "--url: the password can be seen in the list of processes; use a file with password_file: instead"
		}
		deleteItems(document, "destinations", "senaite")
		if err := document.Set("--url", appended(document, "destinations"), lims); err != nil {
			return "", err
		}
	}
	if f.Data != "" {
		err = document.Set("--data", "spool.directory", filepath.Join(f.Data, "spool"))
		captures := filepath.Join(f.Data, "captures")
		for i := range document.Len("destinations") {
			path := fmt.Sprintf("destinations[%d]", i)
			if document.Has(path + ".capture") {
				err = errors.Join(err, document.Set("--data", path+".capture.directory", captures))
			}
		}
	}
	if f.CaptureOnly != "" {
		for i := range document.Len("destinations") {
			if document.Has(fmt.Sprintf("destinations[%d].senaite", i)) {
				return "", config.Errors{{Source: "--capture-only", Text: "a LIMS is configured; remove it, or run without this flag"}}
			}
		}
		document.Delete("destinations")
		err = errors.Join(err, document.Set("--capture-only", "destinations", []any{
			map[string]any{"name": "captures", "capture": map[string]string{"directory": f.CaptureOnly}},
		}))
	}
	return warning, err
}

// limsOf makes a destination of a URL that may hold user and password. Errors
// do not repeat it, because of the password.
func limsOf(text string) (destination map[string]any, hasPassword bool, err error) {
	at, err := url.Parse(text)
	if err != nil || at.Host == "" {
		return nil, false, config.Errors{{Source: "--url", Text: "is not a URL; write for example https://USER:PASSWORD@lims.example.org/senaite"}}
	}
	settings := map[string]any{}
	if at.User != nil {
		settings["username"] = at.User.Username()
		password, given := at.User.Password()
		if given {
			settings["password"] = password
		}
		hasPassword, at.User = given, nil
	}
	settings["url"] = at.String()
	return map[string]any{"name": "lims", "senaite": settings}, hasPassword, nil
}

// deleteItems removes the items of a list that have the key.
func deleteItems(document *config.Document, list, key string) {
	for i := document.Len(list) - 1; i >= 0; i-- {
		item := fmt.Sprintf("%s[%d]", list, i)
		if document.Has(item + "." + key) {
			document.Delete(item)
		}
	}
}

func appended(document *config.Document, list string) string {
	return fmt.Sprintf("%s[%d]", list, document.Len(list))
}

// warnings are what is allowed, but hardly meant.
func (c Config) warnings() []config.Error {
	var list []config.Error
	warn := func(path, format string, args ...any) { list = append(list, c.document.At(path, format, args...)) }
	if len(c.Instruments) == 0 {
		warn("instruments", "there are none, so nothing will be received; add one, or give --astm or --hl7 an address")
	}
	switch {
	case len(c.Destinations) == 0:
		warn("destinations", "there are none, so messages stay in the store; add one")
	case len(c.live()) == 0:
		warn("destinations", "all are for staging, so messages stay in the store; add one that is not")
	}
	for i, one := range c.Instruments {
		path := fmt.Sprintf("instruments[%d]", i)
		_, address := one.listenKey()
		for _, other := range c.Instruments[:i] {
			if _, at := other.listenKey(); sameListener(address, at) && one.Profile == other.Profile {
				warn(path+".profile", "%s shares its listener with %s and has the same profile, so their messages cannot be told apart", one.Name, other.Name)
			}
		}
		frames := one.Quirks
		frames.Ack = ""
		if one.HL7 != nil && frames != (Instrument{}).Quirks {
			warn(path+".quirks", "but for ack they are about ASTM frames; on an HL7 line they mean nothing")
		}
		if one.Quirks.Ack != "" && one.protocol() != envelope.HL7 {
			warn(path+".quirks.ack", "is about HL7 messages; on this line it means nothing")
		}
		if one.Quirks.Ack != "" && one.ack() != "" && one.ack() != one.Quirks.Ack {
			warn(path+".quirks.ack", "means nothing beside hl7.ack, which wins")
		}
		if one.Serial != nil && one.Limits.Idle != 0 {
			warn(path+".limits.idle", "is about connections; a serial line stays open however long it is silent")
		}
	}
	if c.Privacy.HL7 != nil && c.Privacy.ASTM == nil || c.Privacy.HL7 == nil && c.Privacy.ASTM != nil {
		missing := "hl7"
		if c.Privacy.ASTM == nil {
			missing = "astm"
		}
		warn("privacy", "has no %s part, so nothing is dropped from %s messages", missing, strings.ToUpper(missing))
	}
	if c.Owner != nil {
		if _, err := owner.ParseKey(c.Owner.PublicKey); err != nil {
			warn("owner.public_key", "%v; until then no stick is taken", err)
		}
	}
	return append(list, c.accessWarnings()...)
}
