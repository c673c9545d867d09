"""Does a plug-in do what it must? Quick checks of the contract on a live channel; `psk_testing` has all of them."""
