package console

import (
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/assaygate/assaygate/device/console/login"
	"github.com/assaygate/assaygate/envelope/spool"
)

// Login is who may come in.
type Login struct {
	// Users are those of the configuration that runs, asked for at each request. Nil
	// or none: nobody has to log in.
	Users func() map[string]User
}

func (c *Console) loginRoutes() []route {
	return []route{
		{"GET /login", Anybody, c.loginPage},
		{"POST /login", Anybody, c.login},
		{"POST /logout", Viewer, c.logout},
	}
}

// accounts are the users that may log in, none where nobody has to.
func (c *Console) accounts() map[string]login.Account {
	if c.options.Login.Users == nil {
		return nil
	}
	accounts := map[string]login.Account{}
	for name, user := range c.options.Login.Users() {
		accounts[name] = login.Account{Hash: user.PasswordHash, Password: user.Password, Role: user.Role}
	}
	return accounts
}

// loginView is the page where a person logs in.
type loginView struct {
	To      string // where the person wanted to go
	User    string
	Problem string
}

func (c *Console) loginPage(w http.ResponseWriter, r *http.Request) {
	to := ownPath(r.URL.Query().Get("to"))
	if len(c.accounts()) == 0 || c.who(r).Role > Anybody {
		http.Redirect(w, r, to, http.StatusSeeOther)
		return
	}
	c.render(w, r, http.StatusOK, "login.html", "Log in", loginView{To: to})
}

func (c *Console) login(w http.ResponseWriter, r *http.Request) {
	to, user := ownPath(r.PostFormValue("to")), strings.TrimSpace(r.PostFormValue("user"))
	if len(c.accounts()) == 0 {
		http.Redirect(w, r, to, http.StatusSeeOther)
		return
	}
	if _, err := c.enter(w, r, user, r.PostFormValue("password")); err != nil {
		status, text := refusal(w, err)
		c.render(w, r, status, "login.html", "Log in", loginView{To: to, User: user, Problem: text})
		return
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

// enter logs the person in: the answer carries the cookie, and the audit has it.
func (c *Console) enter(w http.ResponseWriter, r *http.Request, user, password string) (login.Session, error) {
	accounts := c.accounts()
	token, session, err := c.desk.Enter(r.Context(), remote(r), user, password, accounts)
	if err != nil {
		_, known := accounts[user]
		c.noteRefused(r, user, known, err)
		return login.Session{}, err
	}
	if old, err := r.Cookie(cookieName(r)); err == nil {
		c.desk.Leave(old.Value)
	}
	setCookie(w, r, token)
	c.noteLogin(r, spool.LoggedIn, user, "from "+remote(r).String())
	return session, nil
}

// refusal is how a failed login is told.
func refusal(w http.ResponseWriter, err error) (status int, text string) {
	var pause login.PauseError
	switch {
	case errors.As(err, &pause):
		w.Header().Set("Retry-After", strconv.Itoa(pause.Seconds()))
		status = http.StatusTooManyRequests
	case errors.Is(err, login.ErrWrong):
		status = http.StatusUnauthorized
	default:
		w.Header().Set("Retry-After", "5")
		status, err = http.StatusServiceUnavailable, login.ErrBusy
	}
	text = err.Error()
	return status, strings.ToUpper(text[:1]) + text[1:] + "."
}

func (c *Console) logout(w http.ResponseWriter, r *http.Request) {
	c.leave(w, r)
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}

// leave ends the session of the request.
func (c *Console) leave(w http.ResponseWriter, r *http.Request) {
	cookie, err := r.Cookie(cookieName(r))
	if err != nil {
		return
	}
	if session, was := c.desk.Leave(cookie.Value); was {
		c.noteLogin(r, spool.LoggedOut, session.User, "")
	}
	setCookie(w, r, "")
}

// cookieName is that of the cookie with a session's token. With TLS its prefix has
// the browser refuse one that another name or plain HTTP has set.
func cookieName(r *http.Request) string {
	if r.TLS != nil {
		return "__Host-assaygate"
	}
	return "assaygate"
}

// setCookie gives the browser the token, or takes it away where it is "".
func setCookie(w http.ResponseWriter, r *http.Request, token string) {
	cookie := &http.Cookie{
		Name: cookieName(r), Value: token, Path: "/", Secure: r.TLS != nil, HttpOnly: true, SameSite: http.SameSiteStrictMode,
	}
	if token == "" {
		cookie.MaxAge = -1
	}
	http.SetCookie(w, cookie)
}

// session is that of the request, without noting that it is used.
func (c *Console) session(r *http.Request, used bool) (login.Session, bool) {
	cookie, err := r.Cookie(cookieName(r))
	if err != nil {
		return login.Session{}, false
	}
	return c.desk.Who(cookie.Value, used, c.accounts())
}

// remote is the address that the request came from.
func remote(r *http.Request) netip.Addr {
	at, _ := netip.ParseAddrPort(r.RemoteAddr) // none for what comes from nowhere
	return at.Addr().Unmap()
}

// ownPath is the address of a page of ours, and the overview for everything else: a
// login must not send anybody elsewhere.
func ownPath(text string) string {
	to, err := url.Parse(text)
	switch {
	case err != nil || to.Scheme != "" || to.Host != "" || to.User != nil || to.Opaque != "",
		!strings.HasPrefix(to.Path, "/"), strings.HasPrefix(to.Path, "//"), strings.ContainsAny(text, "\\\t\r\n"),
		to.Path == "/login":
		return "/"
	}
	own := url.URL{Path: to.Path, RawPath: to.RawPath, RawQuery: to.RawQuery}
	return own.String()
}
