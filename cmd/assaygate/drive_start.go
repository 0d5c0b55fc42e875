package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/assaygate/assaygate/device/config"
	"github.com/assaygate/assaygate/device/configdrive"
	"github.com/assaygate/assaygate/device/console"
	"github.com/assaygate/assaygate/device/port"
)

// start writes a configuration to begin with.
func (s *sticks) start(ctx context.Context, session *configdrive.Session) configdrive.Outcome {
	devices, err := s.d.panel.Devices()
	if err != nil {
		s.d.log.Warn("the serial ports cannot be listed", "error", err)
	}
	if len(devices) > 0 {
		session.Working(ctx, "it listens to the serial ports for a minute. Make the analysers send: re-transmit a result")
	}
	found := s.d.listenForStart(ctx)
	stem, extension := strings.TrimSuffix(configdrive.StartName, ".yaml"), ".yaml"
	name, err := session.Create(ctx, stem, extension, func(w io.Writer) error {
		_, err := io.WriteString(w, strings.ReplaceAll(s.startText(devices, found), "\n", "\r\n"))
		return err
	})
	return outcome(configdrive.Start, fmt.Sprintf("a configuration to begin with is %s. Fill in the places marked with <<<, save it as %s, and plug the stick in again.", name, configdrive.ConfigName), err)
}

// startText is that configuration: what this box has now, and places to fill in,
// each with <<< on its line. Until they are filled in it passes no check, so that
// none is forgotten.
func (s *sticks) startText(devices []port.Device, found map[string]proposal) string {
	c := s.d.config()
	beside := filepath.ToSlash(filepath.Dir(absolute(s.d.changes.path)))
	data := filepath.ToSlash(filepath.Dir(beside))
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("# Configuration of this box. Fill in every place marked with <<<, save the file as")
	line("# %s, and plug the stick into the box again.", configdrive.ConfigName)
	line("# On a computer, assaygate check %s finds mistakes before.", configdrive.ConfigName)
	line("version: 1")
	box := s.sections("box")
	if box == nil {
		box = []string{fmt.Sprintf("box: {name: %s}", c.Box.Name)}
	}
	line("%s", strings.Join(box, "\n"))
	line("")
	line("# One entry for each analyser. Entries behind # are examples: remove the # to use them.")
	line("instruments:")
	for i, device := range devices {
		line("  # %s", device)
		of := found[device.Name]
		of.Port = device.Name // also of one that was not listened to
		for _, text := range of.entry(fmt.Sprintf("serial-%d", i+1)) {
			line("  %s", text)
		}
		line("  #   profile: sysmex_xn       # the analyser's model, where it is not recognised; see assaygate profiles list")
	}
	line("  - name: astm-lan             # analysers that send ASTM over the network to this box")
	line("    astm: {listen: \":4010\"}")
	line("  #   allow_from: [10.20.0.0/24]")
	line("  - name: hl7-lan              # analysers that send HL7 over the network to this box")
	line("    hl7: {listen: \":2575\"}")
	line("  #   allow_from: [10.20.0.0/24]")
	line("")
	line("destinations:")
	line("  - name: lims")
	line("    senaite:")
	line("      url: <<<URL              # <<< of the SENAITE site: https://lims.example.org/senaite")
	line("      username: <<<USER        # <<< of an account for this box")
	line("      password: <<<PASSWORD    # <<< the box moves it into a file of its own and takes it off the stick")
	line("  #   ca: %s/tls/lims-ca.pem   # where the LIMS has a certificate of your own authority; put it into tls/ on the stick", data)
	line("")
	line("spool: {directory: %q}", filepath.ToSlash(absolute(c.Spool.Directory)))
	if c.Profiles != "" {
		line("profiles: %q", filepath.ToSlash(c.Profiles))
	} else {
		line("# profiles: %s/profiles       # instrument profiles of your own; put them into profiles/ on the stick", data)
	}
	if c.ConfigDrive != nil {
		line("config_drive: {directory: %q, confirm_within: %s%s}", c.ConfigDrive.Directory, c.ConfigDrive.ConfirmWithin, writeRequest(c.ConfigDrive.WriteRequest))
	}
	if admin := s.sections("admin"); admin != nil {
		line("%s", admin[0])
	} else if c.Admin.Listen != "" {
		line("admin: {listen: %q}", c.Admin.Listen)
	}
	for _, text := range consoleToBegin(c.Console) {
		line("%s", text)
	}
	for _, section := range s.sections("privacy", "network", "update", "log", "shutdown_grace") {
		line("%s", section)
	}
	return b.String()
}

// consoleToBegin is the console's section. Users stay, without their passwords: a
// stick is read by anybody.
func consoleToBegin(c console.Settings) (lines []string) {
	line := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	switch {
	case c.Listen == "":
	case len(c.Users) == 0:
		line("console: {listen: %q}", c.Listen)
		line("# In place of that line, a console that can be opened from the network:")
		line("# console:")
		line("#   listen: \":8443\"")
		line("#   users:")
		line("#     anna: {password: \"four words or more\", role: admin}    # the box keeps a hash of it and takes it off the stick")
	default:
		line("console:")
		line("  listen: %q", c.Listen)
		if c.TLS != (console.TLS{}) {
			line("  tls: {certificate: %q, key: %q}", c.TLS.Certificate, c.TLS.Key)
		}
		line("  users:")
		for _, name := range sortedKeys(c.Users) {
			line("    %q: {password: <<<PASSWORD, role: %s}    # <<< a new one: the box keeps a hash of it and takes it off the stick", name, c.Users[name].Role)
		}
	}
	return lines
}

// sections are parts of the present configuration that stay as they are, as they
// are written.
func (s *sticks) sections(keys ...string) (list []string) {
	path, err := s.d.changes.source.file(systemConfig)
	if err != nil {
		return nil
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	text, err := config.Text(data)
	if err != nil {
		return nil
	}
	var section []string
	end := func() {
		if section != nil {
			list = append(list, strings.TrimRight(strings.Join(section, "\n"), "\n"))
		}
		section = nil
	}
	for text := range strings.SplitSeq(strings.ReplaceAll(text, "\r\n", "\n"), "\n") {
		key, _, isKey := strings.Cut(text, ":")
		switch {
		case isKey && slices.Contains(keys, key):
			end()
			section = []string{text}
		case text != "" && !strings.HasPrefix(text, " ") && !strings.HasPrefix(text, "-"):
			end()
		case section != nil:
			section = append(section, text)
		}
	}
	end()
	return list
}

func writeRequest(path string) string {
	if path == "" {
		return ""
	}
	return fmt.Sprintf(", write_request: %q", path)
}
