package main

import (
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/assaygate/assaygate/device/config"
	"github.com/assaygate/assaygate/device/console"
)

// drafted is a draft of the console as a configuration file.
type drafted struct {
	base    []byte // the file as it stands
	data    []byte // as it would be
	of      string // digest of base
	hidden  *config.Hidden
	secrets map[string]bool // none of them may be seen
	to      Config
}

// shownConfig is the configuration file as it may be shown.
func (d *daemon) shownConfig(number int) (console.ConfigText, error) {
	base, err := d.changes.text()
	if err != nil {
		return console.ConfigText{}, err
	}
	hidden, err := d.hiddenText(base, number)
	if err != nil {
		return console.ConfigText{}, err
	}
	return console.ConfigText{Text: hidden.Text, Of: digestOfText(base)}, nil
}

// hiddenText is the text without its secrets, or that of the earlier configuration
// of that number.
func (d *daemon) hiddenText(base []byte, number int) (*config.Hidden, error) {
	text := base
	if number != 0 {
		one, err := d.changes.earlier(number)
		if err != nil {
			return nil, err
		}
		text = one.Text
	}
	hidden, err := config.Hide(text, configMask(d.changes.secretsOfAll(base)))
	var at config.Error
	if errors.As(err, &at) {
		return nil, fmt.Errorf("the configuration cannot be shown here, because it may hold passwords: line %d: %s", at.Line, config.Error{Key: at.Key, Text: at.Text}.Error())
	}
	return hidden, err
}

// secretsOfAll are the secrets of the text and of all that the box has had before:
// a password that was in use may still stand in a comment.
func (s *changes) secretsOfAll(text []byte) map[string]bool {
	secrets := secretsInText(text)
	if s.path == "" {
		return secrets
	}
	list, err := readHistory(historyBeside(s.path))
	if err != nil {
		return secrets
	}
	for _, one := range list {
		maps.Copy(secrets, secretsInText(one.Text))
	}
	return secrets
}

var errNoEarlier = errors.New("there is no such earlier configuration any more")

// earlier is the configuration of that number in the history.
func (s *changes) earlier(number int) (earlier, error) {
	if s.path == "" {
		return earlier{}, errNoEarlier
	}
	list, err := readHistory(historyBeside(s.path))
	if err != nil {
		return earlier{}, err
	}
	for _, one := range list {
		if one.Number == number && one.Text != nil {
			return one, nil
		}
	}
	return earlier{}, errNoEarlier
}

// draft makes a configuration file of a draft, and judges it. Its error is
// config.Errors where the draft is wrong; it may hold secrets. What of drafted
// could be made is there with an error too.
func (d *daemon) draft(from console.Draft) (made drafted, err error) {
	if made.base, err = d.changes.text(); err != nil {
		return made, err
	}
	if made.of = digestOfText(made.base); made.of != from.Of {
		return made, errMoved
	}
	if made.hidden, err = d.hiddenText(made.base, from.Earlier); err != nil {
		return made, err
	}
	made.secrets = secretsInText(made.base)
	name := d.changes.path
	data, kept, errs := made.hidden.Restore(from.Text, name)
	if errs != nil {
		return made, errs
	}
	made.data = data
	for secret := range secretsInText(data) {
		made.secrets[secret] = true
	}
	if _, err := config.Hide(data, configMask(nil)); err != nil {
		return made, at(err, name)
	}
	document, err := parseDocument(data, name)
	if err != nil {
		return made, err
	}
	of, err := d.keptFrom(from.Earlier, made)
	if err != nil {
		return made, err
	}
	if errs := misplaced(of, data, kept, name); errs != nil {
		return made, errs
	}
	if err := d.mayBeLookedAt(data, name); err != nil {
		return made, err
	}
	if made.to, _, err = d.judged(document, nil); err != nil {
		return made, d.ownErrors(err, name)
	}
	return made, nil
}

// mayBeLookedAt holds a draft to what the console may change, before any of the
// files that it names is looked at: what is wrong with one tells something of it.
func (d *daemon) mayBeLookedAt(data []byte, name string) error {
	document, err := parseDocument(data, name) // of its own: flags are laid over it
	if err != nil {
		return err
	}
	to, _, err := d.changes.source.compose(document)
	if err != nil {
		return err
	}
	return d.mayFromConsole(d.config(), to)
}

// at gives an error without a file the name of one.
func at(err error, name string) error {
	var one config.Error
	if errors.As(err, &one) {
		one.Source = name
		return config.Errors{one}
	}
	return err
}

// secretsInText are the secrets of a text, as far as it can be read.
func secretsInText(text []byte) map[string]bool {
	document, errs := config.Parse(text, "")
	if errs != nil {
		return map[string]bool{}
	}
	return secretsIn(document)
}

// mayFromConsole is consoleMayNot on this box. Where it is in doubt who owns it,
// somebody does.
func (d *daemon) mayFromConsole(old, to Config) error {
	key, err := d.ownership().of(old)
	return consoleMayNot(old, to, key != nil || err != nil)
}

// ownErrors keeps errors about other files than the configuration from quoting
// them, unless these are the profiles of the running one: whoever may write a path
// here is not thereby one who may read what lies there.
func (d *daemon) ownErrors(err error, name string) error {
	var errs config.Errors
	if !errors.As(err, &errs) {
		return err
	}
	var own config.Errors
	for _, one := range errs {
		if running := d.config().Profiles; one.Source != name && !strings.HasPrefix(one.Source, "--") && (running == "" || filepath.Dir(absolute(one.Source)) != absolute(running)) {
			one = config.Error{Source: name, Key: "profiles", Text: filepath.Base(one.Source) + " in this directory is not a right profile; assaygate profiles check says more"}
		}
		own = append(own, one)
	}
	return own
}

var destinationPath = regexp.MustCompile(`^destinations\[([0-9]+)\]\.`)

// keptFrom is the text that a draft was made of.
func (d *daemon) keptFrom(number int, made drafted) ([]byte, error) {
	if number == 0 {
		return made.base, nil
	}
	one, err := d.changes.earlier(number)
	return one.Text, err
}

// misplaced finds passwords of a text that were kept in another one, by their paths
// there, and would be sent to another place than the one that they were given for.
func misplaced(from, text []byte, kept []string, name string) (errs config.Errors) {
	old, _ := readableConfig(from)
	to, document := readableConfig(text)
	for _, path := range kept {
		found := destinationPath.FindStringSubmatch(path)
		if found == nil {
			continue
		}
		wrong := document.At(path, "was given for another server, or for another way to it; it is not sent there unless you type it again")
		wrong.Source = name
		i, err := strconv.Atoi(found[1])
		if err != nil || i >= len(to.Destinations) {
			errs = append(errs, wrong)
			continue
		}
		now := to.Destinations[i]
		if before := placeOf(old.destination(now.Name)); before != placeOf(now) || !before.known {
			errs = append(errs, wrong)
		}
	}
	return errs
}

// readableConfig is what a text says, as far as it can be read.
func readableConfig(text []byte) (c Config, document *config.Document) {
	document, errs := config.Parse(text, "")
	if errs != nil {
		document, _ = config.Parse([]byte("version: 1"), "")
	}
	_ = document.Decode(&c) // whoever judges it says what is wrong
	return c, document
}
