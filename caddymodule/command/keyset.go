package command

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/caddy-dcr/caddy-dcr/caddymodule"
)

// keysetFlags are those of caddy dcr keyset.
type keysetFlags struct{ config, adapter string }

func keyset() *cobra.Command {
	c := &cobra.Command{
		Use:   "keyset <command>",
		Short: "Rotates the keyset that encrypts credentials in the store",
		Long: `Rotates the keyset in two steps, so that no gateway encrypts with a key that another one
lacks. The commands change the file of the keyset, and need no running gateway.`,
	}
	c.AddCommand(keysetStep("add", "Adds a key, which decrypts and does not encrypt yet", `Adds a key to the file of the keyset. A gateway that has read the file decrypts with the
key, and goes on encrypting with the present one. Then back up the file, and reload
every gateway that uses the keyset.`,
		`added the key %[1]d to %[2]s
Do this next: back up the file, run caddy reload --force on every gateway that uses it, and then caddy dcr keyset promote
`, (*caddymodule.App).AddKey),
		keysetStep("promote", "Makes the key that was added encrypt", `Makes the key that was added last the primary one. Only when every gateway has read the
file since it was added. A gateway that reads it then encrypts with the key, and in the
background encrypts again what older keys have encrypted: 20 records a second.`,
			`the key %[1]d in %[2]s is the primary one
Do this next: back up the file, and run caddy reload --force on every gateway that uses it. The log tells when older keys are needed no more
`, (*caddymodule.App).PromoteKey))
	refuseUnknown(c)
	return c
}

func keysetStep(name, short, long, done string, change func(*caddymodule.App) (uint32, string, error)) *cobra.Command {
	var f keysetFlags
	c := &cobra.Command{
		Use:   name + " [--config <file>]",
		Short: short,
		Long:  long,
		Example: fmt.Sprintf(`  caddy dcr keyset %[1]s
  sudo -u caddy -H caddy dcr keyset %[1]s --config /etc/caddy/Caddyfile`, name),
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			storage, err := os.MkdirTemp("", "caddy-dcr-keyset")
			if err != nil {
				return err
			}
			defer os.RemoveAll(storage)
			app, err := provisioned(f.config, f.adapter, storage)
			if err != nil {
				return usage("--config: %w", err)
			}
			id, file, err := change(app)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(c.OutOrStdout(), done, id, file)
			return err
		},
	}
	c.Flags().StringVarP(&f.config, "config", "c", "", "the configuration with the keyset; default: the Caddyfile in this folder")
	c.Flags().StringVarP(&f.adapter, "adapter", "a", "", "the adapter of --config")
	return c
}
