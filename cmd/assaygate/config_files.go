package main

import "fmt"

// namedFile is a file that a configuration names.
type namedFile struct {
	key  string // where: destinations[0].senaite.password_file
	file string
	// secret says that it holds a password or token, and nothing else.
	secret bool
}

// namedFiles lists the files that the configuration needs beside itself, but for
// its profiles.
func (c Config) namedFiles() []namedFile {
	var list []namedFile
	add := func(key, file string, secret bool) {
		if file != "" {
			list = append(list, namedFile{key, file, secret})
		}
	}
	for i, one := range c.Instruments {
		key := fmt.Sprintf("instruments[%d].tls.", i)
		add(key+"certificate", one.TLS.Certificate, false)
		add(key+"key", one.TLS.Key, false)
		add(key+"client_ca", one.TLS.ClientCA, false)
		add(key+"ca", one.TLS.CA, false)
	}
	for i, one := range c.Destinations {
		if one.SENAITE != nil {
			key := fmt.Sprintf("destinations[%d].senaite.", i)
			add(key+"password_file", one.SENAITE.PasswordFile, true)
			add(key+"ca", one.SENAITE.CA, false)
		}
	}
	add("admin.token_file", c.Admin.TokenFile, true)
	add("admin.tls.certificate", c.Admin.TLS.Certificate, false)
	add("admin.tls.key", c.Admin.TLS.Key, false)
	add("admin.tls.client_ca", c.Admin.TLS.ClientCA, false)
	add("console.tls.certificate", c.Console.TLS.Certificate, false)
	add("console.tls.key", c.Console.TLS.Key, false)
	if c.Update != nil {
		add("update.ca", c.Update.CA, false)
	}
	return list
}
