//! Nationality codes as documents and vendors write them.

use terms::Country;

/// What a nationality code stands for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Nation {
    /// A country.
    Of(Country),
    /// No country, as established.
    Stateless,
    /// Not stated, or a status that names no country, such as a refugee's.
    Unknown,
}

/// ISO 3166-1: the three letters of each assigned code, and the two.
#[rustfmt::skip]
const ALPHA_3: &str = "ABWAW AFGAF AGOAO AIAAI ALAAX ALBAL ANDAD AREAE ARGAR ARMAM ASMAS ATAAQ ATFTF ATGAG AUSAU AUTAT AZEAZ BDIBI BELBE BENBJ BESBQ BFABF BGDBD BGRBG BHRBH BHSBS BIHBA BLMBL BLRBY BLZBZ BMUBM BOLBO BRABR BRBBB BRNBN BTNBT BVTBV BWABW CAFCF CANCA CCKCC CHECH CHLCL CHNCN CIVCI CMRCM CODCD COGCG COKCK COLCO COMKM CPVCV CRICR CUBCU CUWCW CXRCX CYMKY CYPCY CZECZ DEUDE DJIDJ DMADM DNKDK DOMDO DZADZ ECUEC EGYEG ERIER ESHEH ESPES ESTEE ETHET FINFI FJIFJ FLKFK FRAFR FROFO FSMFM GABGA GBRGB GEOGE GGYGG GHAGH GIBGI GINGN GLPGP GMBGM GNBGW GNQGQ GRCGR GRDGD GRLGL GTMGT GUFGF GUMGU GUYGY HKGHK HMDHM HNDHN HRVHR HTIHT HUNHU IDNID IMNIM INDIN IOTIO IRLIE IRNIR IRQIQ ISLIS ISRIL ITAIT JAMJM JEYJE JORJO JPNJP KAZKZ KENKE KGZKG KHMKH KIRKI KNAKN KORKR KWTKW LAOLA LBNLB LBRLR LBYLY LCALC LIELI LKALK LSOLS LTULT LUXLU LVALV MACMO MAFMF MARMA MCOMC MDAMD MDGMG MDVMV MEXMX MHLMH MKDMK MLIML MLTMT MMRMM MNEME MNGMN MNPMP MOZMZ MRTMR MSRMS MTQMQ MUSMU MWIMW MYSMY MYTYT NAMNA NCLNC NERNE NFKNF NGANG NICNI NIUNU NLDNL NORNO NPLNP NRUNR NZLNZ OMNOM PAKPK PANPA PCNPN PERPE PHLPH PLWPW PNGPG POLPL PRIPR PRKKP PRTPT PRYPY PSEPS PYFPF QATQA REURE ROURO RUSRU RWARW SAUSA SDNSD SENSN SGPSG SGSGS SHNSH SJMSJ SLBSB SLESL SLVSV SMRSM SOMSO SPMPM SRBRS SSDSS STPST SURSR SVKSK SVNSI SWESE SWZSZ SXMSX SYCSC SYRSY TCATC TCDTD TGOTG THATH TJKTJ TKLTK TKMTM TLSTL TONTO TTOTT TUNTN TURTR TUVTV TWNTW TZATZ UGAUG UKRUA UMIUM URYUY USAUS UZBUZ VATVA VCTVC VENVE VGBVG VIRVI VNMVN VUTVU WLFWF WSMWS YEMYE ZAFZA ZMBZM ZWEZW";

impl Nation {
    /// Reads two or three letters of either case, or the `D` of German passports; `None` if nobody assigned them.
    ///
    /// # Source
    /// OpenID Connect for Identity Assurance Claims Registration 1.0 section 4 (`nationalities`); ICAO Doc 9303 part 3
    /// section 5; EU PID Rulebook, `nationalities` (`QU` unknown, `QS` stateless).
    pub(crate) fn parse(code: &str) -> Option<Self> {
        let code = code.to_ascii_uppercase();
        match code.as_str() {
            "QS" | "XXA" => Some(Self::Stateless),
            "QU" | "XXX" | "XXB" | "XXC" => Some(Self::Unknown),
            "D" => Country::parse("DE").ok().map(Self::Of),
            "GBD" | "GBN" | "GBO" | "GBP" | "GBS" => Country::parse("GB").ok().map(Self::Of),
            _ if code.len() == 2 => Country::parse(&code).ok().map(Self::Of),
            _ if code.len() == 3 => of_three(&code).map(Self::Of),
            _ => None,
        }
    }

    /// Returns the country, if it is one.
    pub(crate) fn country(self) -> Option<Country> {
        match self {
            Self::Of(country) => Some(country),
            Self::Stateless | Self::Unknown => None,
        }
    }
}

fn of_three(code: &str) -> Option<Country> {
    let two = ALPHA_3.split(' ').find_map(|pair| pair.strip_prefix(code))?;
    Country::parse(two).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_assigned_country_has_three_letters_that_lead_to_its_two() {
        let countries: BTreeSet<Country> =
            ALPHA_3.split(' ').map(|pair| Nation::parse(&pair[..3]).and_then(Nation::country).unwrap()).collect();
        assert_eq!((ALPHA_3.split(' ').count(), countries.len()), (249, 249));
        for (three, two) in [("USA", "US"), ("deu", "DE"), ("D", "DE"), ("kr", "KR"), ("GBN", "GB"), ("AUT", "AT")] {
            assert_eq!(Nation::parse(three), Some(Nation::Of(Country::parse(two).unwrap())));
        }
    }

    #[test]
    fn codes_without_a_country_are_told_apart_and_unassigned_ones_are_none() {
        assert_eq!([Nation::parse("QS"), Nation::parse("XXA")], [Some(Nation::Stateless); 2]);
        assert_eq!([Nation::parse("QU"), Nation::parse("XXX"), Nation::parse("XXB")], [Some(Nation::Unknown); 3]);
        for code in ["", "U", "UK1", "XK", "ZZ", "ZZZ", "USAUS", "U S", "ÄÄ"] {
            assert_eq!(Nation::parse(code), None, "{code:?}");
        }
    }
}
