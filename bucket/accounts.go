package bucket

import (
	"fmt"
	"regexp"

	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/s3err"
)

// Accounts are who else but the root key may use the embedded store. An account begins with no
// rights at all; policies of buckets give it some.
type Accounts interface {
	// Secret is the secret key of an account, as it is now: it is asked for each request, so
	// that a new, a changed and a removed account take effect with the next one. ok is false
	// where there is no such account. An error fails the request.
	Secret(accessKey string) (secret string, ok bool, err error)
}

// accounts is the gateway's list of accounts: the root key, and those of Accounts as plain
// users, who may neither make buckets nor list them. The gateway asks it directly, without the
// cache that it puts before lists of its own. It cannot be changed through the gateway.
type accounts struct {
	root   auth.Account
	others Accounts // nil: there are none
}

var _ auth.IAMService = accounts{}

// GetUserAccount is the account of an access key. Errors: auth.ErrNoSuchUser.
func (a accounts) GetUserAccount(access string) (auth.Account, error) {
	if access == a.root.Access {
		return a.root, nil
	}
	if a.others == nil {
		return auth.Account{}, auth.ErrNoSuchUser
	}
	secret, ok, err := a.others.Secret(access)
	switch {
	case err != nil:
		return auth.Account{}, fmt.Errorf("look up the account of a request: %w", err) // the gateway prints it, and answers "internal error"
	case !ok || secret == "": // whoever knows the name could sign with an empty secret
		return auth.Account{}, auth.ErrNoSuchUser
	}
	return auth.Account{Access: access, Secret: secret, Role: auth.RoleUser}, nil
}

var accountName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{2,127}$`)

// ResolveAccounts is asked which principals of a new policy do not exist: those that no account
// can ever be named. One that is not there yet, or was removed, is no reason to refuse the
// policy that all others need; it comes into its rights when it is added.
func (a accounts) ResolveAccounts(names []string) ([]string, error) {
	missing := []string{}
	for _, name := range names {
		if name != a.root.Access && (a.others == nil || !accountName.MatchString(name)) {
			missing = append(missing, name)
		}
	}
	return missing, nil
}

var errFixedAccounts = s3err.GetAPIError(s3err.ErrAdminMethodNotSupported)

func (accounts) CreateAccount(auth.Account) error                  { return errFixedAccounts }
func (accounts) UpdateUserAccount(string, auth.MutableProps) error { return errFixedAccounts }
func (accounts) DeleteUserAccount(string) error                    { return errFixedAccounts }
func (accounts) ListUserAccounts() ([]auth.Account, error)         { return nil, errFixedAccounts }
func (accounts) Shutdown() error                                   { return nil }
