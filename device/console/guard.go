package console

import (
	"context"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// The names under which a request carries the token.
const (
	tokenField  = "csrf"
	tokenHeader = "X-CSRF-Token"
)

const bodyLimit = 64 << 10

// policy allows what the pages need and nothing else: scripts, styles, images
// and streams from here only, and nothing inline.
const policy = "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// guard refuses what does not come from a page of ours, and sets the headers
// that every answer carries.
func (c *Console) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", policy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "same-origin")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Cache-Control", "no-store") // pages hold patients' data
		if !c.knows(r) {
			http.Error(w, "This console is not known by that name.", http.StatusMisdirectedRequest)
			return
		}
		if fetchedByOthers(r) {
			http.Error(w, "Pages of others can lead here, and load nothing from here.", http.StatusForbidden)
			return
		}
		if session, is := c.session(r, !byItself(r)); is {
			// An answer that takes long ends with the session.
			ctx, stop := context.WithCancel(r.Context())
			defer stop()
			defer context.AfterFunc(session.Over(), stop)()
			r = r.WithContext(ctx)
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			r.Body = http.MaxBytesReader(w, r.Body, limitOf(r))
			if err := c.cross.Check(r); err != nil || !c.holdsToken(r) {
				c.refuseChange(w, r)
				return
			}
		}
		next.ServeHTTP(w, r)
	})
}

// fetchedByOthers reports whether a page of another origin loads something by itself,
// as browsers tell (W3C Fetch Metadata). It could read none of it; but a stream or a
// search takes its time from those who may, and who looks at a message is in the audit.
// That a link leads here is something else.
func fetchedByOthers(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "cross-site", "same-site":
		return r.Header.Get("Sec-Fetch-Mode") != "navigate" || r.Header.Get("Sec-Fetch-Dest") != "document"
	}
	return false
}

// refuseChange answers who wants to change something and does not come from a page
// of ours, or from one that is too old.
func (c *Console) refuseChange(w http.ResponseWriter, r *http.Request) {
	const text = "This page is out of date: go back, load it again, and repeat."
	if isAPI(r) {
		answerFailure(w, http.StatusForbidden, "token", "the header "+tokenHeader+" does not have the token of the session; see POST "+sessionPath)
		return
	}
	http.Error(w, text, http.StatusForbidden)
}

// knows reports whether the request asks for the console by a name of its own.
// The port does not matter: a tunnel changes it.
func (c *Console) knows(r *http.Request) bool {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	named := func(own string) bool { return strings.EqualFold(own, host) }
	if host == "localhost" || host != "" && c.options.Hosts != nil && slices.ContainsFunc(c.options.Hosts(), named) {
		return true
	}
	asked, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	if asked.Unmap().IsLoopback() {
		return true
	}
	// An address cannot be rebound as a name can: the one that the connection
	// came to is ours.
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return ok && local.AddrPort().Addr().Unmap().WithZone("") == asked.Unmap().WithZone("")
}

// holdsToken reports whether the request carries the token of our pages, or is the
// one with which a program gets it.
func (c *Console) holdsToken(r *http.Request) bool {
	if startsSession(r) {
		return true
	}
	token := r.Header.Get(tokenHeader)
	// The API's body is JSON, and is left to it.
	if token == "" && strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		token = r.PostFormValue(tokenField)
	}
	return subtle.ConstantTimeCompare([]byte(token), []byte(c.tokenOf(r))) == 1
}

// tokenOf is the token of the pages that the person has open: that of the session,
// or that of this process for who has none.
func (c *Console) tokenOf(r *http.Request) string {
	if session, is := c.session(r, false); is {
		return session.CSRF
	}
	return c.token
}
