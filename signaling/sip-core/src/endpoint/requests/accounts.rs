//! Accounts: who we are when a peer challenges our requests (RFC 3261 §22).

use crate::auth::Account;
use crate::content::Refused;
use crate::endpoint::Endpoint;
use crate::event::{AccountId, DialogId};
use crate::table::slab::Handle;
use sip_wire::Message;

impl Endpoint {
    /// Keeps an account; [`NewRequest::account`](crate::NewRequest::account) and [`set_account`](Self::set_account)
    /// name it. Challenges to its requests are answered before their user hears of them.
    pub fn add_account(&mut self, account: Account) -> Result<AccountId, Refused> {
        if !account.is_fine() {
            return Err(Refused::BadText);
        }
        self.accounts.insert(account).map(AccountId).map_err(|_| Refused::Full)
    }

    /// Forgets an account. Challenges to its requests are told to their users from now on.
    pub fn remove_account(&mut self, account: AccountId) -> Result<(), Refused> {
        self.accounts.remove(account.0).map(drop).ok_or(Refused::Gone)
    }

    /// Who we are in a dialog. Those of our own calls have the account of their INVITE.
    pub fn set_account(&mut self, dialog: DialogId, account: Option<AccountId>) -> Result<(), Refused> {
        self.dialogs.get_mut(dialog.0).ok_or(Refused::Gone)?.user.account = account;
        Ok(())
    }

    /// The credentials that a request of ours carried, for the ACK.
    pub(crate) fn credentials_of(&self, handle: Handle) -> Option<Box<[u8]>> {
        let sent = self.transactions.clients.get(handle).filter(|sent| sent.account.is_some())?;
        let names = ["Authorization", "Proxy-Authorization"];
        let lines: Vec<&[u8]> =
            names.into_iter().flat_map(|name| crate::message::derive::named_lines(&sent.bytes, name)).collect();
        (!lines.is_empty()).then(|| lines.concat().into_boxed_slice())
    }

    /// The header lines that answer a challenge, if the request's account can.
    pub(crate) fn credentials_for(&mut self, handle: Handle, response: &Message<'_>) -> Option<Vec<u8>> {
        let sent = self.transactions.clients.get(handle)?;
        let account = self.accounts.get_mut(sent.account?.0)?;
        let cnonce = self.transactions.tokens.next();
        account.answer(response, &sent.bytes, sent.flow.remote, cnonce.as_str())
    }

    /// Credentials for a request that is sent again for another reason than a challenge.
    pub(crate) fn credentials_anew(&mut self, handle: Handle) -> Vec<u8> {
        let mut lines = Vec::new();
        if let Some(sent) = self.transactions.clients.get(handle)
            && let Some(account) = sent.account.and_then(|account| self.accounts.get_mut(account.0))
        {
            account.put_anew(&sent.bytes, sent.flow.remote, &mut lines);
        }
        lines
    }

    /// A 2xx may name the nonce that the peer wants next.
    pub(crate) fn take_next_nonce(&mut self, handle: Handle, response: &Message<'_>) {
        if let Some(sent) = self.transactions.clients.get(handle)
            && let Some(account) = sent.account.and_then(|account| self.accounts.get_mut(account.0))
        {
            account.take_next_nonce(response, &sent.bytes);
        }
    }
}
