package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/term"

	"github.com/assaygate/assaygate/device/config"
	"github.com/assaygate/assaygate/device/console"
	"github.com/assaygate/assaygate/device/console/login"
)

// passwordCommand makes the hash of a password, on the box or on a computer.
type passwordCommand struct {
	Name   string `arg:"" optional:"" help:"The user. Without one there is only the hash." placeholder:"NAME"`
	Role   string `help:"What the user may do: admin or viewer. Default: as it is, or admin for a new one." placeholder:"ROLE" enum:",admin,viewer" default:""`
	Config string `help:"Put the user into this configuration. A running gateway takes it by itself." placeholder:"FILE"`
}

// Run implements a kong command. The password comes from the terminal, or from
// standard input where that is none.
func (c *passwordCommand) Run(s *streams) error {
	return c.run(s, func() (string, error) { return readNewPassword(s.err) })
}

func (c *passwordCommand) run(s *streams, ask func() (string, error)) error {
	switch {
	case c.Name == "" && (c.Config != "" || c.Role != ""):
		return usageError{errors.New("--config and --role are about a user; name one: assaygate console-password NAME --config FILE")}
	case c.Name != "":
		if err := login.CheckName(c.Name); err != nil {
			return usageError{fmt.Errorf("the name %q %w", c.Name, err)}
		}
	}
	if c.Config != "" { // before anybody types
		if _, err := readConfiguration(c.Config); err != nil {
			return err
		}
	}
	password, err := ask()
	if err != nil {
		return err
	}
	if err := login.CheckPassword(c.Name, password); err != nil {
		return fmt.Errorf("this password cannot be used: %w", err)
	}
	hash := login.NewHash(password).String()
	if c.Config != "" {
		return c.put(s, hash)
	}
	return c.print(s.out, hash)
}

// print shows what goes into the configuration.
func (c *passwordCommand) print(out io.Writer, hash string) error {
	if c.Name == "" {
		_, err := fmt.Fprintln(out, hash)
		return err
	}
	role := c.Role
	if role == "" {
		role = "admin"
	}
	_, err := fmt.Fprintf(out, "%s\n\nFor the configuration:\n\nconsole:\n  users:\n    %s: {password_hash: %q, role: %s}\n", hash, c.Name, hash, role)
	return err
}

// readConfiguration reads a configuration that a user can be put into.
func readConfiguration(path string) ([]byte, error) {
	if err := isFile(path); err != nil {
		return nil, err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if _, err := parseConfig(text, path); err != nil {
		return nil, fmt.Errorf("%w\nput that right first; nothing was changed", err)
	}
	return text, nil
}

// put writes the user into the configuration as it is now: it may have been changed
// while somebody typed. Its file stays what it is for others: its owner and mode.
func (c *passwordCommand) put(s *streams, hash string) error {
	before, err := readConfiguration(c.Config)
	if err != nil {
		return err
	}
	now, err := parseConfig(before, c.Config)
	if err != nil {
		return err
	}
	user, known := now.Console.Users[c.Name]
	text, err := withUser(before, c.Name, user, known, hash, c.Role)
	if err == nil {
		_, err = parseConfig(text, c.Config)
	}
	if err != nil {
		fmt.Fprintf(s.err, "%s is not changed: %v\nWrite the user into it yourself:\n\n", c.Config, err)
		return errors.Join(c.print(s.err, hash), errors.New("the user is not in the configuration"))
	}
	path, err := filepath.EvalSymlinks(c.Config) // a link stays one
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if err := config.Replace(path, text); err != nil {
		return err
	}
	if err := likeBefore(path, info); err != nil {
		return fmt.Errorf("the user is in %s, but the file has not the owner and mode of before: %w", c.Config, err)
	}
	what := "has a new password"
	if !known {
		what = "is a new user"
	}
	_, err = fmt.Fprintf(s.out, "%s %s in %s. A running gateway takes it within seconds.\n", c.Name, what, c.Config)
	return err
}

// withUser is the text with the user's hash, and role where one is named.
func withUser(text []byte, name string, user console.User, known bool, hash, role string) ([]byte, error) {
	path := "console.users." + name
	if !known {
		if role == "" {
			role = "admin"
		}
		return config.AddKey(text, "console.users", name, fmt.Sprintf("{password_hash: %q, role: %s}", hash, role))
	}
	key := path + ".password_hash"
	if user.Password != "" {
		key = path + ".password"
	}
	text, err := rewrite(text, key, config.Pair{Key: "password_hash", Value: hash})
	if err == nil && role != "" && role != user.Role {
		text, err = rewrite(text, path+".role", config.Pair{Key: "role", Value: role})
	}
	return text, err
}

// readNewPassword asks for a password twice and shows nothing of it, or takes the
// first line where nobody is there to type.
func readNewPassword(prompt io.Writer) (string, error) {
	terminal := int(os.Stdin.Fd())
	if !term.IsTerminal(terminal) {
		line, err := bufio.NewReader(io.LimitReader(os.Stdin, 64<<10)).ReadString('\n')
		if err != nil && !errors.Is(err, io.EOF) {
			return "", fmt.Errorf("reading the password: %w", err)
		}
		return strings.TrimRight(line, "\r\n"), nil
	}
	ask := func(what string) (string, error) {
		fmt.Fprint(prompt, what)
		typed, err := term.ReadPassword(terminal)
		fmt.Fprintln(prompt)
		if err != nil {
			return "", fmt.Errorf("reading the password: %w", err)
		}
		return string(typed), nil
	}
	first, err := ask("New password, which is not shown: ")
	if err != nil {
		return "", err
	}
	again, err := ask("Once more: ")
	if err != nil {
		return "", err
	}
	if first != again {
		return "", errors.New("the two are not the same; nothing was changed")
	}
	return first, nil
}
